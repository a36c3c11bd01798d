"""What the verification finds in a log that its own writer made wrong, and from where it can begin."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner
from audit.log import Log
from audit.model import Append, LogUnavailable
from audit.replay.run import Options, verify
from audit.retention import fingerprint
from audit.sources.files import lines_of
from audit.sources.folder import FolderSource
from audit.sources.locate import source_of
from audit.sources.port import SourceUnavailable
from audit.sources.sqlite import SqliteSource
from audit.store import open_store
from audit.verifier import MAX_FINDINGS, VerificationFailed, verify_receipt
from audit.verify_database import verify_database
from tests.audit.conftest import ORIGIN, migrate
from tests.audit.verified_log import ERASED, SIZE, Sample, access, cosigner, erasure, withdrawal

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def log(database_url: str, key: NoteSigner) -> Iterator[Log]:
    with closing(Log.open(open_store(database_url), key, origin=ORIGIN)) as opened:
        yield opened


def problems(url: str, key: NoteSigner, **options: object) -> list[str]:
    verdict = verify_database(url, key.vkey, Options(**options))  # type: ignore[arg-type]  # as the options are named
    return [str(finding) for finding in verdict.findings]


def told(append: Append, **skeleton: object) -> Append:
    """The same, with other members, and without what the commit would hold against it."""
    return Append({**append.skeleton, **skeleton}, append.detail, spends=append.spends)  # type: ignore[dict-item]  # ours


WRONG: list[tuple[str, Callable[[], Sequence[Append]]]] = [
    (
        "entry 1: an access after its authorisation was ended by entry 0",
        lambda: [withdrawal("g"), told(access(1, grant="g"))],
    ),
    (
        "entry 1: a second use of what was used up by entry 0",
        lambda: [access(1, grant="g", once=True), Append(access(2, grant="h").skeleton, {"spent": "once:g"})],
    ),
    (
        "entry 0: an access of a single use that was not used up",
        lambda: [Append(access(1, grant="g").skeleton, {"grant_id": "g", "access": "once"})],
    ),
    ("entry 0: its kind is unknown", lambda: [told(access(1, grant="g"), kind="acess")]),
    ("entry 0: 'time' is missing or has the wrong form", lambda: [told(access(1, grant="g"), time=7)]),
    (
        "key at entry 0: the key that it closed is not kept",
        lambda: [Append(withdrawal("g").skeleton, withdrawal("g").detail)],
    ),
    (
        "key at entry 0: the entry does not say that it was closed",
        lambda: [Append(access(1, grant="g").skeleton, closes=("grant:g",))],
    ),
    (
        "entry 1: none of the details that it says were erased is marked as erased",
        lambda: [access(1, grant="g"), _run(erased=1, first=0, last=0, erased_sha256="00")],
    ),
    ("entry 1: it does not say what was erased", lambda: [access(1, grant="g"), _run(erased="one")]),
]


def _run(**said: object) -> Append:
    return told(withdrawal("g"), kind="retention.applied", **said)


@pytest.mark.parametrize(("problem", "appends"), WRONG, ids=[problem for problem, _ in WRONG])
def test_what_a_dishonest_writer_wrote_is_found(
    log: Log, database_url: str, key: NoteSigner, problem: str, appends: Callable[[], Sequence[Append]]
) -> None:
    for append in appends():
        log.append_blocking(append)
    assert problem in problems(database_url, key)


def test_an_access_after_an_end_whose_detail_was_erased_is_still_found(
    log: Log, database_url: str, key: NoteSigner
) -> None:
    """The table of closed keys outlives the detail."""
    log.append_blocking(withdrawal("g"))
    run = _run(erased=1, first=0, last=0, erased_sha256=fingerprint([0]))
    log.append_blocking(Append(run.skeleton, erases=(0,)))
    assert problems(database_url, key) == []
    log.append_blocking(told(access(1, grant="g")))
    assert problems(database_url, key) == ["entry 2: an access after its authorisation was ended by entry 0"]


def test_parts_on_several_processes_say_what_one_process_says(sample: Sample) -> None:
    whole = verify_database(sample.url, sample.vkey)
    parts = verify_database(sample.url, sample.vkey, Options(part=256, processes=2))
    assert (whole.ok, whole.size, whole.root, whole.checked) == (parts.ok, parts.size, parts.root, parts.checked)
    assert (whole.ok, whole.size) == (True, SIZE)
    assert whole.checked["erased"] == len(ERASED) + 2


def test_from_any_earlier_checkpoint_on_the_log_verifies_and_what_came_before_is_not_read(sample: Sample) -> None:
    for size, note in sample.notes.items():
        verdict = verify_database(sample.url, sample.vkey, Options(since=note, part=256))
        assert (verdict.ok, verdict.root) == (True, verify_database(sample.url, sample.vkey).root)
        assert verdict.first == size - size % 256
        assert verdict.checked["entries"] == SIZE - verdict.first


def test_a_checkpoint_of_another_log_under_the_same_key_is_no_beginning(
    sample: Sample, tmp_path: Path, key: NoteSigner
) -> None:
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    migrate(other)
    with closing(Log.open(open_store(other), key, origin=ORIGIN)) as log:
        for number in range(3):
            log.append_blocking(access(number, grant="another"))
    store = open_store(other)
    with closing(store), store.reading() as session:
        note = session.rows("SELECT note FROM log_checkpoints WHERE size = 3")[0][0]
    verdict = verify_database(sample.url, sample.vkey, Options(since=note))
    assert [str(one) for one in verdict.findings] == [
        "checkpoint 3, as given: the log does not continue the one it signed"
    ]


def test_a_checkpoint_by_another_key_is_not_taken(sample: Sample) -> None:
    stranger = NoteSigner.generate(ORIGIN)
    with pytest.raises(NoteInvalid):
        verify_database(sample.url, stranger.vkey, Options(since=sample.notes[90]))
    found = [str(one) for one in verify_database(sample.url, stranger.vkey).findings]
    assert found[0] == "checkpoint 1: the note is not signed once by the log's key"


def test_a_witness_who_cosigned_nothing_is_missed(sample: Sample) -> None:
    other = type(cosigner()).generate("other.example/w")
    verdict = verify_database(sample.url, sample.vkey, Options(witnesses=(cosigner().vkey, other.vkey)))
    assert [one.place for one in verdict.findings] == ["witness 'other.example/w'"]


def test_a_log_that_grows_and_forgets_while_it_is_read_verifies(log: Log, database_url: str, key: NoteSigner) -> None:
    appends: list[Append] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            new = [access(number, grant=f"g{number % 9}") for number in range(len(appends), len(appends) + 70)]
            asyncio.run(_append_all(log, new))
            appends.extend(new)
            gone = range(len(appends) - 40, len(appends) - 10)
            new = [erasure(gone, appends)]
            asyncio.run(_append_all(log, new))
            appends.extend(new)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        met_at: set[int] = set()
        while len(met_at) < 8:
            assert writer.is_alive()
            verdict = verify_database(database_url, key.vkey, Options(part=256))
            assert verdict.ok, verdict.findings
            met_at.add(verdict.size)
    finally:
        done.set()
        writer.join(30)
    assert problems(database_url, key) == []


async def _append_all(log: Log, appends: Sequence[Append]) -> None:
    # In their order: an entry's number is its index.
    await asyncio.gather(*(log.append(one) for one in appends))


def test_a_folder_says_the_same_as_the_database_it_was_written_from(sample: Sample, tmp_path: Path) -> None:
    database = verify_database(sample.url, sample.vkey)
    for size in sample.sizes:
        paths = sample.write(tmp_path / str(size), size=size)
        verdict = verify(FolderSource(tmp_path / str(size)), sample.vkey, Options(part=256))
        assert (verdict.ok, verdict.size, verdict.first) == (True, size, 0), verdict.findings
        assert paths[-1] == "checkpoint"
    assert verdict.root == database.root
    assert verdict.unchecked == []


@pytest.mark.parametrize("first", [1, 256, 300, 512, 600])
def test_an_archive_of_the_end_of_a_log_verifies_and_says_what_it_cannot_know(
    sample: Sample, tmp_path: Path, first: int
) -> None:
    sample.write(tmp_path, first=first)
    verdict = verify(FolderSource(tmp_path), sample.vkey, Options(since=sample.notes[604]))
    assert (verdict.ok, verdict.size, verdict.first) == (True, SIZE, 512), verdict.findings
    verdict = verify(FolderSource(tmp_path), sample.vkey)
    assert (verdict.ok, verdict.first) == (True, first - first % 256), verdict.findings
    assert bool(verdict.first) == any("order is checked from there on only" in one for one in verdict.unchecked)
    if verdict.first:
        with pytest.raises(SourceUnavailable):
            verify(FolderSource(tmp_path), sample.vkey, Options(since=sample.notes[90]))


def test_an_archive_without_details_verifies_and_says_so(sample: Sample, tmp_path: Path) -> None:
    for path in sample.write(tmp_path):
        if path.startswith("details"):
            (tmp_path / path).unlink()
    for folder in sorted((tmp_path / "details").rglob("*"), reverse=True):
        folder.rmdir()
    (tmp_path / "details").rmdir()
    verdict = verify(FolderSource(tmp_path), sample.vkey)
    assert (verdict.ok, verdict.checked["details"]) == (True, 0)
    assert any("details are not there" in one for one in verdict.unchecked)


@pytest.mark.parametrize("path", ["tile/0/001", "tile/1/000.p/2", "tile/entries/001", "details/000", "checkpoint"])
def test_a_file_that_is_not_there_is_found(sample: Sample, tmp_path: Path, path: str) -> None:
    sample.write(tmp_path)
    (tmp_path / path).unlink()
    verdict = verify(FolderSource(tmp_path), sample.vkey)
    assert any("missing" in finding.problem for finding in verdict.findings)


def test_earlier_checkpoints_that_are_not_there_are_named_as_not_checked(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    (tmp_path / "checkpoints.jsonl").unlink()
    verdict = verify(FolderSource(tmp_path), sample.vkey)
    assert verdict.ok
    assert verdict.unchecked == ["the earlier checkpoints are not there: the newest alone was verified"]


def test_a_split_view_is_found_where_both_checkpoints_are(sample: Sample, tmp_path: Path, key: NoteSigner) -> None:
    """Two checkpoints of one size, both signed by the log's key, one of them of another tree."""
    sample.write(tmp_path)
    other = key.sign(Checkpoint(ORIGIN, 300, bytes(32)))
    with (tmp_path / "checkpoints.jsonl").open("ab") as file:
        file.write(lines_of([{"size": 300, "note": other}]))
    places = [finding.place for finding in verify(FolderSource(tmp_path), sample.vkey).findings]
    assert places == ["checkpoint 300"]


def test_an_empty_log_verifies(database_url: str, key: NoteSigner) -> None:
    verdict = verify_database(database_url, key.vkey)
    assert (verdict.ok, verdict.size, verdict.root.hex()[:8]) == (True, 0, "e3b0c442")


def test_what_cannot_be_read_is_said_and_is_no_verdict(tmp_path: Path, key: NoteSigner) -> None:
    (tmp_path / "nothing.sqlite").write_bytes(b"")
    for name in ("nothing.sqlite", "not there.sqlite"):
        with pytest.raises(LogUnavailable):
            verify_database(f"sqlite:///{tmp_path / name}", key.vkey)
    with pytest.raises(SourceUnavailable):
        source_of(str(tmp_path / "not there"))
    with pytest.raises(NoteInvalid):
        verify(SqliteSource(str(tmp_path / "nothing.sqlite")), "not a key")


def test_only_so_many_findings_are_listed_and_the_others_counted(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    (tmp_path / "tile" / "0" / "000").unlink()
    (tmp_path / "details" / "000").unlink()
    verdict = verify(FolderSource(tmp_path), sample.vkey)
    assert len(verdict.findings) == MAX_FINDINGS
    assert verdict.more == 256 - len(ERASED) - 2 + 1 - MAX_FINDINGS
    assert verdict.as_json()["more_findings"] == verdict.more
    assert json.loads(json.dumps(verdict.as_json()))["ok"] is False


def test_a_receipt_proves_the_entry_beside_it_and_no_other(log: Log, database_url: str, key: NoteSigner) -> None:
    receipt = log.append_blocking(access(1, grant="g"))
    store = open_store(database_url)
    with closing(store), store.reading() as session:
        leaf = bytes(session.rows('SELECT leaf FROM log_entries WHERE "index" = 0')[0][0])
    assert verify_receipt(receipt.proof, leaf, key.vkey).entry["request_id"] == "request-1"
    with pytest.raises(VerificationFailed):
        verify_receipt(receipt.proof, leaf + b" ", key.vkey)
