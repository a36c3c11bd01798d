"""A server that hides what would tell against it never leads to the verdict that its log verifies."""

from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audit.checkpoint import NoteSigner
from audit.folder import write_log_files
from audit.log import Log
from audit.model import Append
from audit.replay.run import verify
from audit.sources import fetch
from audit.sources.files import lines_of
from audit.sources.locate import source_of
from audit.sources.port import SourceUnavailable
from audit.store import open_store
from audit.verify_database import verify_database
from tests.audit.conftest import ORIGIN, migrate
from tests.audit.served import TOKEN, Public, serving
from tests.audit.verified_log import ERASED, SIZE, Sample, access, withdrawal

pytestmark = pytest.mark.enable_socket

LATE = 1
"""The entry of an access that comes after its authorisation's end."""


class Changing(Public):
    """Answers some paths in its own way.

    ``statuses``: instead of files, by how their paths begin. ``checkpoints``, ``erased``: the newest checkpoint and the
    list of what was erased, one for each time that they are asked for, the last of them ever after.
    """

    def __init__(
        self,
        *given: Any,
        statuses: dict[str, int] | None = None,
        checkpoints: list[str] | None = None,
        erased: list[str] | None = None,
        **named: Any,
    ) -> None:
        self.statuses = statuses or {}
        self.turns = {"/checkpoint": checkpoints or [], "/erased.jsonl": erased or []}
        super().__init__(*given, **named)

    def do_GET(self) -> None:  # noqa: N802  # as the standard library calls it
        status = next((self.statuses[begin] for begin in self.statuses if self.path.startswith(begin)), None)
        if status is not None:
            self.send_error(status)
        elif turns := self.turns.get(self.path):
            content = turns.pop(0) if turns[1:] else turns[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())
        else:
            super().do_GET()


@pytest.fixture
def folder(sample: Sample, tmp_path: Path) -> Path:
    sample.write(tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def late(tmp_path: Path, key: NoteSigner) -> tuple[Path, list[str]]:
    """A log with a late access, whose detail is hidden in its files, and the checkpoints of 3 and of 5 entries."""
    url, folder = f"sqlite:///{tmp_path / 'late.sqlite'}", tmp_path / "late"
    migrate(url)
    with closing(Log.open(open_store(url), key, origin=ORIGIN)) as log:
        log.append_blocking(withdrawal("g"))
        unseen = access(LATE, grant="g")
        log.append_blocking(Append(unseen.skeleton, unseen.detail, spends=unseen.spends))
        for number in range(2, 5):
            log.append_blocking(access(number, grant="h"))
    ended = f"entry {LATE}: an access after its authorisation was ended by entry 0"
    assert [str(one) for one in verify_database(url, key.vkey).findings] == [ended]

    def target(path: str, chunks: Iterable[bytes]) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"".join(chunks))

    store = open_store(url)
    with closing(store), store.reading() as session:
        write_log_files(session, target, size=3, vkey=key.vkey)
        notes = [str(row[0]) for row in session.rows("SELECT note FROM log_checkpoints WHERE size IN (3, 5)")]
    details = folder / "details" / "000.p" / "3"
    lines = details.read_bytes().splitlines(keepends=True)
    details.write_bytes(b"".join(line for line in lines if f'"index":{LATE},'.encode() not in line))
    return folder, notes


@pytest.mark.parametrize("by", [3, 4, 2**62])
def test_an_erasure_by_an_entry_beyond_the_newest_checkpoint_hides_nothing(
    late: tuple[Path, list[str]], key: NoteSigner, by: int
) -> None:
    folder, _ = late
    (folder / "erased.jsonl").write_bytes(lines_of([{"by": by, "index": LATE}]))
    with serving(partial(Public, directory=str(folder))) as url:
        for token in (None, TOKEN):
            verdict = verify(source_of(url, token=token), key.vkey)
            problem = f"entry {by}, which should say so, is not a retention run's"
            assert [str(one) for one in verdict.findings] == [f"erased {LATE}: {problem}"]


def test_an_erasure_by_an_entry_that_was_not_read_is_no_verdict(late: tuple[Path, list[str]], key: NoteSigner) -> None:
    """A newer checkpoint says that there is such an entry, not what it is."""
    folder, (then, now) = late
    (folder / "erased.jsonl").write_bytes(lines_of([{"by": 4, "index": LATE}]))
    with (
        serving(partial(Changing, directory=str(folder), checkpoints=[then, now])) as url,
        pytest.raises(SourceUnavailable, match="1 details were erased by entries that came while the log was read"),
    ):
        verify(source_of(url), key.vkey)


@pytest.mark.parametrize(
    ("by", "verdict_is"), [(4, "none"), (5, "no"), (2**62, "no")], ids=["an entry since", "none yet", "none ever"]
)
def test_a_detail_erased_while_the_log_is_read_is_no_finding_and_no_verdict(
    late: tuple[Path, list[str]], key: NoteSigner, by: int, verdict_is: str
) -> None:
    """The list of what was erased names it only when it is asked for again."""
    folder, (then, now) = late
    now_erased = lines_of([{"by": by, "index": LATE}]).decode()
    handler = partial(Changing, directory=str(folder), checkpoints=[then, now], erased=["", now_erased])
    with serving(handler) as url:
        if verdict_is == "none":
            with pytest.raises(SourceUnavailable, match="1 details were erased by entries that came while"):
                verify(source_of(url), key.vkey)
        else:
            missing = "it is missing, and no retention run says that it was erased"
            assert [str(one) for one in verify(source_of(url), key.vkey).findings] == [f"details {LATE}: {missing}"]


def test_a_detail_is_missed_where_nothing_lists_what_was_erased(late: tuple[Path, list[str]], key: NoteSigner) -> None:
    folder, _ = late
    (folder / "erased.jsonl").unlink()
    with serving(partial(Public, directory=str(folder))) as url:
        verdict = verify(source_of(url), key.vkey)
    missing = "it is missing, and no retention run says that it was erased"
    assert [str(one) for one in verdict.findings] == [f"details {LATE}: {missing}"]


@pytest.mark.parametrize("status", [500, 503, 400, 302])
@pytest.mark.parametrize("path", ["/details", "/tile/entries", "/tile/0/", "/erased.jsonl", "/checkpoints.jsonl"])
def test_what_a_server_fails_to_show_is_no_verdict(
    sample: Sample, folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    with serving(partial(Changing, directory=str(folder), statuses={path: status})) as url:
        for token in (None, TOKEN):
            with pytest.raises(SourceUnavailable, match=f"status {status}"):
                verify(source_of(url, token=token), sample.vkey)


def test_details_that_a_token_does_not_open_are_no_verdict_and_those_not_there_are_missing(
    sample: Sample, folder: Path
) -> None:
    with (
        serving(partial(Changing, directory=str(folder), statuses={"/details": 403})) as url,
        pytest.raises(SourceUnavailable, match="does not show details"),
    ):
        verify(source_of(url, token=TOKEN), sample.vkey)
    with serving(partial(Changing, directory=str(folder), statuses={"/details": 404})) as url:
        verdict = verify(source_of(url, token=TOKEN), sample.vkey)
    assert len(verdict.findings) + verdict.more == SIZE - len(ERASED) - 2
    assert {one.problem for one in verdict.findings} == {"it is missing, and no retention run says that it was erased"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_details_that_were_not_asked_for_are_said_to_be_unchecked(sample: Sample, folder: Path, status: int) -> None:
    with serving(partial(Changing, directory=str(folder), statuses={"/details": status, "/erased": status})) as url:
        verdict = verify(source_of(url, token=TOKEN, details=False), sample.vkey)
    assert (verdict.ok, verdict.checked["entries"], verdict.checked["details"]) == (True, SIZE, 0)
    assert verdict.unchecked == ["details are not there: what entries seal, and the order of accesses, was not checked"]
