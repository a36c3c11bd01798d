"""What is written and read of a log takes the memory of a part of it, not of the whole: bounds that no list keeps."""

import os
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import pytest

from audit.checkpoint import NoteSigner, NoteVerifier
from audit.commit import Commit, Ends, KnownKeys, seal_all
from audit.entry import SALT_BYTES
from audit.folder import write_log_files
from audit.package import ZipDraft
from audit.replay.run import Options, verify
from audit.sources.files import CHECKPOINTS, chunks_of
from audit.sources.folder import FolderSource
from audit.sources.lists import ListForm, OrderedList
from audit.sources.package import ZipSource
from audit.sources.port import Source
from audit.sources.web import WebSource
from audit.store import Session, open_store
from audit.store.sqlite import SqliteSession
from audit.tiles import read_end
from tests.audit.conftest import migrate
from tests.audit.served import Public, serving
from tests.audit.test_archive import entry
from tests.audit.verified_log import into

pytestmark = pytest.mark.enable_socket

FEW, MANY = 512, 2_560
NOTE_BYTES = 250
"""Of a line of ``checkpoints.jsonl``, about: the least that each checkpoint takes when all of them are held."""
HELD = (MANY - FEW) * NOTE_BYTES


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, key: NoteSigner) -> Iterator[Session]:
    """A log with a checkpoint for each of its entries, by the writer's own commit."""
    url = f"sqlite:///{tmp_path_factory.mktemp('checkpoints') / 'log.sqlite'}"
    migrate(url)
    store = open_store(url)
    with closing(store.connect()) as opened:
        assert isinstance(opened, SqliteSession)
        opened.execute("PRAGMA synchronous=OFF")
        head, ends = opened.head(), Ends(0, *read_end(opened, 0))
        while head.size < MANY:
            batch = seal_all([entry(head.size, "2026-10-10T08:30:00.000Z")], os.urandom(SALT_BYTES))
            with opened.locked([], []) as locked:
                commit = Commit(batch, head=locked.head, ends=ends, known=KnownKeys(set(), set()), signer=key)
                opened.commit(commit.changes())
            head = commit.head
        yield opened
    store.close()


@contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """Tells the most bytes that were held at once since the beginning, beyond those held then."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def peak_of(act: Callable[[], object]) -> int:
    with measured() as most:
        act()
        return most()


def discard(_path: str, chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        """Written."""


def test_writing_five_times_the_checkpoints_takes_no_more_memory(session: Session) -> None:
    write_log_files(session, discard, size=FEW)
    few, many = (peak_of(partial(write_log_files, session, discard, size=size)) for size in (FEW, MANY))
    assert many - few < HELD // 4, (few, many)


def source_in(folder: Path, session: Session, *, size: int, zipped: bool) -> Source:
    """The log up to ``size`` as files."""
    paths = write_log_files(session, into(folder), size=size)
    if not zipped:
        return FolderSource(folder)
    with ZipFile(folder / "log.zip", "w") as archive:
        for path in paths:
            archive.write(folder / path, f"content/{path}")
    return ZipSource(folder / "log.zip")


@pytest.mark.parametrize("zipped", [False, True])
def test_verifying_five_times_the_checkpoints_takes_no_more_memory(
    session: Session, key: NoteSigner, tmp_path: Path, zipped: bool
) -> None:
    peaks = []
    for size in (FEW, MANY):
        source = source_in(tmp_path / str(size), session, size=size, zipped=zipped)
        with measured() as most:
            verdict = verify(source, key.vkey, Options(processes=1, part=256))
            peaks.append(most())
        assert (verdict.ok, verdict.checked["checkpoints"]) == (True, size)
    assert peaks[1] - peaks[0] < HELD // 4, peaks


NOTES = ListForm(CHECKPOINTS, {"note": str, "size": int}, "size", lambda record: int(record["size"]))
LINES = 3_000


@pytest.fixture(scope="module")
def long_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server may say are checkpoints."""
    file = tmp_path_factory.mktemp("list") / CHECKPOINTS
    with file.open("wb") as opened:
        opened.writelines(chunks_of({"note": 2_000 * "x", "size": size} for size in range(1, LINES + 1)))
    return file


def test_a_long_list_is_gone_through_line_by_line(long_list: Path) -> None:
    def look() -> None:
        with long_list.open("rb") as opened:
            assert sum(1 for _ in OrderedList(NOTES, opened)) == LINES

    assert peak_of(look) < long_list.stat().st_size // 10


def test_a_long_list_on_the_web_is_not_held_in_memory(long_list: Path, key: NoteSigner) -> None:
    def look(url: str) -> None:
        with closing(WebSource(url).open()) as reader:
            opening = reader.opening(NoteVerifier(key.vkey), cosigned=False)
            assert [note.size for note in opening.notes] == list(range(1, LINES + 1))

    with serving(partial(Public, directory=str(long_list.parent))) as url:
        # What is not put into a file yet, and as much again while it is; and the numbers that are compared.
        assert peak_of(partial(look, url)) < long_list.stat().st_size * 2 // 3


def test_a_list_of_more_bytes_than_a_zip_counts_by_itself_is_written_when_that_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 50_000)
    draft = ZipDraft(tmp_path / "a.zip")
    draft.write("content/erased.jsonl", [bytes(1_000)] * 60, at_most=2**31)
    draft.finish()
    with ZipFile(draft.path) as archive:
        assert archive.read("content/erased.jsonl") == bytes(60_000)
    draft.discard()
