"""A period as a transfer: what it holds, that it validates and verifies with no Accord, and what is refused."""

import asyncio
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from hashlib import sha256, sha512
from pathlib import Path
from zipfile import ZipFile

import pytest
import xmlschema

from audit.archive import ArchiveRefused, ArchiveUnsound, Asked, Period, entries_of, make_archive
from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append, LogUnavailable
from audit.package_check import read_manifest
from audit.seda import Agreement, Archived
from audit.store import Session, open_store
from tests.audit.conftest import ORIGIN, migrate

pytestmark = pytest.mark.enable_socket

AGREEMENT = Agreement("FRAD033", "21330063500017", "21330063500017", details_rule="APP-00002")
OCTOBER = Period.parse("2026-10")
NOW = OCTOBER.until + 86_400


def entry(number: int, time: str) -> Append:
    skeleton = {"v": 1, "kind": "refusal", "time": time, "request_id": str(number), "outcome": "access_denied"}
    return Append(skeleton, {"citizen": f"pseudonym-{number}"})


def fill(url: str, key: NoteSigner, times: Sequence[str]) -> None:
    """Entries of those times, in some batches."""

    async def append(log: Log) -> None:
        for at in range(0, len(times), 700):
            await asyncio.gather(*(log.append(entry(at + n, time)) for n, time in enumerate(times[at : at + 700])))

    with closing(Log.open(open_store(url), key, origin=ORIGIN, timeout=30)) as log:
        asyncio.run(append(log))


def days(month: int, count: int) -> list[str]:
    return [f"2026-{month:02}-{1 + number * 28 // count:02}T08:30:00.000Z" for number in range(count)]


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    store = open_store(database_url)
    with closing(store.connect()) as opened:
        yield opened
    store.close()


@pytest.fixture
def make(session: Session, key: NoteSigner) -> Callable[..., Archived]:
    return lambda target, **wanted: make_archive(session, asked(key, target, **wanted), record=lambda _: None)


@pytest.fixture(scope="module")
def schema(reference: Path) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(reference / "seda" / "seda-2.3-main.xsd", allow="local")


def check_manifest(root: Path, schema: xmlschema.XMLSchema, archived: Archived) -> set[str]:
    """Schema, digests, sizes, and no file besides; the paths."""
    manifest = root / "manifest.xml"
    schema.validate(str(manifest))
    assert sha256(manifest.read_bytes()).hexdigest() == archived.manifest_sha256
    listed = read_manifest([manifest.read_bytes()])
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert found == {"manifest.xml", *(f"content/{path}" for path in listed)}
    for path, file in listed.items():
        content = (root / "content" / path).read_bytes()
        assert (len(content), sha512(content).hexdigest()) == (file.size, file.sha512)
        assert content or path == "erased.jsonl", path
    assert archived.files == len(listed)
    return set(listed)


ALWAYS = {"checkpoint", "checkpoints.jsonl", "log.vkey", "LISEZMOI.md", "README.md", "verify.pyz"}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, key: NoteSigner) -> Iterator[Session]:
    """A small log to read: 300 entries of October."""
    url = f"sqlite:///{tmp_path_factory.mktemp('month') / 'log.sqlite'}"
    migrate(url)
    fill(url, key, days(10, 300))
    store = open_store(url)
    with closing(store.connect()) as opened:
        yield opened
    store.close()


@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_month_of_one_entry(
    database_url: str,
    key: NoteSigner,
    make: Callable[..., Archived],
    schema: xmlschema.XMLSchema,
    tmp_path: Path,
    details: bool,
    kind: str,
) -> None:
    fill(database_url, key, days(10, 1))
    target = tmp_path / ("a.zip" if kind == "zip" else "a")
    archived = make(target, details=details)
    assert (archived.first, archived.last, archived.size) == (0, 0, 1)
    paths = check_manifest(_folder(target, tmp_path), schema, archived)
    assert paths - ALWAYS == {"tile/entries/000.p/1", "tile/0/000.p/1"} | (
        {"details/000.p/1", "erased.jsonl"} if details else set()
    )


def _folder(target: Path, tmp_path: Path) -> Path:
    if target.is_dir():
        return target
    with ZipFile(target) as archive:
        archive.extractall(tmp_path / "extracted")
    return tmp_path / "extracted"


@pytest.fixture
def quarter(database_url: str, key: NoteSigner) -> list[str]:
    """700 entries of September, 2,000 of October, a few of which are late or early, 300 of November."""
    times = [*days(9, 700), *days(10, 2000), *days(11, 300)]
    times[690], times[705] = "2026-10-01T00:00:00.000Z", "2026-09-30T23:59:59.999Z"
    times[2699], times[2703] = "2026-11-01T00:00:00.000Z", "2026-10-31T23:59:59.999Z"
    fill(database_url, key, times)
    return times


@pytest.mark.parametrize("details", [True, False])
def test_a_month_of_thousands_begins_at_a_bundle_and_ends_at_a_signed_checkpoint(
    quarter: list[str], make: Callable[..., Archived], schema: xmlschema.XMLSchema, tmp_path: Path, details: bool
) -> None:
    archived = make(tmp_path / "a", details=details)
    assert (archived.first, archived.last) == (690, 2703)
    assert 2704 <= archived.size <= 3000
    paths = check_manifest(tmp_path / "a", schema, archived)
    numbers = range(690 // 256, (archived.size + 255) // 256)
    for folder in ("tile/entries", "details") if details else ("tile/entries",):
        assert sorted(
            int(path.split("/")[len(folder.split("/"))][:3]) for path in paths if path.startswith(folder)
        ) == list(numbers)
    assert any(path.startswith("details/") for path in paths) == details


def test_the_entries_of_a_period_are_all_in_its_range(quarter: list[str], session: Session) -> None:
    for label in ("2026-09", "2026-10", "2026-11", "2026"):
        period = Period.parse(label)
        belonging = [index for index, time in enumerate(quarter) if time.startswith(label)]
        assert entries_of(session, period) == range(belonging[0], belonging[-1] + 1)


def test_a_year_is_its_months(quarter: list[str], make: Callable[..., Archived], tmp_path: Path) -> None:
    year = Period.parse("2026")
    archived = make(tmp_path / "a", period=year, now=year.until + 86_400)
    assert (archived.first, archived.last, archived.size) == (0, 2999, 3000)


def test_erased_details_are_left_out_and_the_archive_verifies(
    quarter: list[str], database_url: str, key: NoteSigner, make: Callable[..., Archived], tmp_path: Path
) -> None:
    indexes = (690, *range(1024, 1280))
    with closing(Log.open(open_store(database_url), key, origin=ORIGIN, timeout=30)) as log:
        log.append_blocking(retention(indexes, "2026-10-20T00:00:00.000Z"))
    archived = make(tmp_path / "a", details=True)
    # The run itself is of the period: it and what it erased are there.
    assert (archived.last, archived.size) == (3000, 3001)
    content = tmp_path / "a" / "content"
    assert not (content / "details" / "004").exists()
    assert len((content / "details" / "002").read_bytes().splitlines()) == 255
    assert len((content / "erased.jsonl").read_bytes().splitlines()) == len(indexes)


def retention(indexes: tuple[int, ...], time: str) -> Append:
    digest = sha256(b"".join(index.to_bytes(8, "big") for index in indexes)).hexdigest()
    said = {"erased": len(indexes), "first": indexes[0], "last": indexes[-1], "erased_sha256": digest}
    kept = {"before": "2026-04-20T00:00:00.000Z", "retention": "P6M", "dataset": "quotient_familial"}
    skeleton = {"v": 1, "kind": "retention.applied", "time": time, "request_id": "r", "outcome": "ok"}
    return Append({**skeleton, **kept, **said}, erases=indexes)


def test_the_same_archive_twice_is_the_same_byte_for_byte(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    one, other = (
        make_archive(month, asked(key, tmp_path / name), record=lambda _: None) for name in ("a.zip", "b.zip")
    )
    assert one == other
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_act_is_recorded_before_the_archive_has_its_name(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    recorded: list[Archived] = []

    def record(archived: Archived) -> None:
        assert not (tmp_path / "a.zip").exists()
        recorded.append(archived)

    made = make_archive(month, asked(key, tmp_path / "a.zip"), record=record)
    assert recorded == [made]
    assert [path.name for path in tmp_path.glob("*a.zip*")] == ["a.zip"]
    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["a", "a.zip"])
def test_without_the_log_there_is_no_archive(month: Session, key: NoteSigner, tmp_path: Path, name: str) -> None:
    def record(archived: Archived) -> None:
        raise LogUnavailable("the log did not answer in time")

    target = tmp_path / "out" / name
    target.parent.mkdir()
    with pytest.raises(LogUnavailable):
        make_archive(month, asked(key, target), record=record)
    assert not list(target.parent.iterdir())


def test_a_period_that_is_not_over_is_refused(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    for now in (OCTOBER.since, OCTOBER.until, OCTOBER.until + 3599):
        with pytest.raises(ArchiveRefused, match=r"2026-10 is not complete.* from 2026-11-01 01:00 UTC on"):
            make_archive(month, asked(key, tmp_path / "a.zip", now=now), record=never)
    assert not list(tmp_path.glob("*a.zip*"))


def test_a_period_without_entries_is_refused(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    august = Period.parse("2026-08")
    with pytest.raises(ArchiveRefused, match="2026-08: the log has no entry of that period"):
        make_archive(month, asked(key, tmp_path / "a.zip", period=august), record=never)
    assert not list(tmp_path.glob("*a.zip*"))


def test_an_empty_log_has_no_archive(session: Session, key: NoteSigner, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="no entry"):
        make_archive(session, asked(key, tmp_path / "a"), record=never)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
@pytest.mark.parametrize("name", ["a", "a.zip"])
def test_what_is_there_is_not_replaced(month: Session, key: NoteSigner, tmp_path: Path, kind: str, name: str) -> None:
    target = tmp_path / name
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("kept")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArchiveRefused, match="it exists already"):
        make_archive(month, asked(key, target), record=never)
    assert kind != "file" or target.read_text() == "kept"


def test_a_folder_that_is_not_there_is_named(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match=r"nowhere/a.zip: No such file or directory; no archive was made"):
        make_archive(month, asked(key, tmp_path / "nowhere" / "a.zip"), record=never)


@pytest.mark.parametrize("name", ["a", "a.zip"])
def test_a_full_disk_is_explained_and_nothing_is_left(
    month: Session, key: NoteSigner, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    # A file size that no file may pass stands in for a disk that is full.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))
    try:
        with pytest.raises(ArchiveRefused, match="File too large; no archive was made"):
            make_archive(month, asked(key, folder / name), record=never)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(folder.iterdir())


def test_an_entry_that_no_bundle_can_hold_is_explained(tmp_path: Path, key: NoteSigner) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    store = open_store(url)
    with closing(Log.open(store, key, origin=ORIGIN)) as log, closing(store.connect()) as session:
        large = entry(0, "2026-10-01T00:00:00.000Z")
        log.append_blocking(replace(large, skeleton={**large.skeleton, "purpose": "x" * 70_000}))
        with pytest.raises(ArchiveRefused, match="an entry is too long for a bundle; no archive was made"):
            make_archive(session, asked(key, tmp_path / "a.zip"), record=never)
    assert not list(tmp_path.glob("*a.zip*"))


def test_details_need_the_rule_that_ends_them(month: Session, key: NoteSigner, tmp_path: Path) -> None:
    without = replace(asked(key, tmp_path / "a", details=True), agreement=replace(AGREEMENT, details_rule=None))
    with pytest.raises(ArchiveRefused, match="the rule at whose end the archives service destroys them"):
        make_archive(month, without, record=never)


def test_an_archive_of_a_log_that_was_changed_is_not_kept(tmp_path: Path, key: NoteSigner) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    fill(url, key, days(10, 300))
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        changed = "CAST(replace(leaf, 'denied', 'allowed') AS BLOB)"
        database.execute(f'UPDATE log_entries SET leaf = {changed} WHERE "index" = 7')  # noqa: S608  # ours
        database.commit()
    store = open_store(url)
    with closing(store.connect()) as session, pytest.raises(ArchiveUnsound) as caught:
        make_archive(session, asked(key, tmp_path / "a.zip"), record=never)
    store.close()
    assert caught.value.findings == ["entry 7: it is not the one that was hashed into the tree"]
    assert not list(tmp_path.glob("*a.zip*"))


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-00", "26-10", "2026-1", "2026-10-01", "octobre", "1999", "\uff12026", "2026-10\n"]
)
def test_a_period_is_a_month_or_a_year(text: str) -> None:
    with pytest.raises(ArchiveRefused, match="a month such as 2026-10 or a year such as 2026"):
        Period.parse(text)


def test_the_ends_of_periods() -> None:
    assert (OCTOBER.since, OCTOBER.until) == (1_790_812_800, 1_793_491_200)
    assert Period.parse("2028-02").ends == date(2028, 2, 29)
    year = Period.parse("2026")
    assert (year.starts, year.ends) == (date(2026, 1, 1), date(2026, 12, 31))


def never(archived: Archived) -> None:
    raise AssertionError("nothing was made")


def asked(key: NoteSigner, target: Path, *, details: bool = False, period: Period = OCTOBER, now: float = NOW) -> Asked:
    return Asked(period, target, details, AGREEMENT, vkey=key.vkey, now=now)
