"""What the log asks of a database, and the statements, which both engines share."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from audit.merkle import EMPTY_ROOT
from audit.verifier import UNTIED

Row: TypeAlias = tuple[Any, ...]
"""A row as the driver gives it."""
Change: TypeAlias = tuple[str, Sequence[Row]]
"""A statement that writes, and the rows it is for; at least one."""
Changes: TypeAlias = Sequence[Change]
"""What may be written in any order, or at once."""


class StoreError(Exception):
    """The database did not do what was asked, or not in time. What was under way was rolled back or is unknown."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of the log: size in entries, the frontier's hashes one after the other, the root that was signed.

    It is the newest checkpoint's row. ``root`` is empty, which no root is, when the note does not say one or the
    entries do not end there.
    """

    size: int
    frontier: bytes
    root: bytes
    note: str = ""
    """The signed note, as it stands in the database: believed once its signature was checked."""


EMPTY_HEAD = Head(0, b"", EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class Locked:
    """What a writer finds once it holds the log's lock; nothing of it can change until it lets go."""

    head: Head
    spent: set[str]
    """Those of the keys asked for that were spent."""
    closed: set[str]
    """Those of the keys asked for that were closed."""


Meanwhile: TypeAlias = Callable[[], object]
"""Work of the caller's that needs nothing of the database. It must not raise."""


def nothing() -> None:
    """No work."""


class Session(Protocol):
    """One connection, used by one thread at a time. Every method may raise :class:`StoreError`."""

    def locked(
        self, spends: Sequence[str], closing: Sequence[str], *, meanwhile: Meanwhile = nothing
    ) -> AbstractContextManager[Locked]:
        """A transaction that holds the log's lock: one writer at a time, on every process.

        It is rolled back at the end of the block unless :meth:`commit` ended it. ``meanwhile`` is called once, while
        the lock is waited for or before.
        """
        ...

    def commit(self, changes: Iterable[Changes], *, meanwhile: Meanwhile = nothing) -> None:
        """Write the rows, as they come, and make them durable: the end of the transaction that holds the lock.

        ``meanwhile`` is called once, while the disk is waited for or after.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside is of one moment."""
        ...

    def head(self) -> Head:
        """The head."""
        ...

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a reading statement, whose parameters are written ``?``."""
        ...

    def rows_of(self, queries: Sequence[tuple[str, Sequence[int]]]) -> list[list[Row]]:
        """:meth:`rows` of several statements whose parameters are numbers, asked at once."""
        ...

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Rows one after the other, without holding them all."""
        ...

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """A statement that writes, as a transaction of its own."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Store(Protocol):
    """A database with the log's tables."""

    def connect(self) -> Session:
        """A new session. Raises :class:`StoreError`."""
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """A session for reading, kept for the next reader."""
        ...

    def close(self) -> None:
        """Let go of the idle sessions; the store may be used again."""
        ...


INSERTS = {
    "entries": 'INSERT INTO log_entries ("index", leaf) VALUES (?, ?)',
    "details": 'INSERT INTO log_details ("index", salt, detail) VALUES (?, ?, ?)',
    "tiles": "INSERT INTO log_tiles (level, tile, hashes, root) VALUES (?, ?, ?, ?)",
    "spent": 'INSERT INTO log_spent_keys (key, "index") VALUES (?, ?)',
    "closed": 'INSERT INTO log_closed_keys (key, "index") VALUES (?, ?)',
    "blocks": "INSERT INTO log_blocks (block, first_time, last_time) VALUES (?, ?, ?)",
    "postings": "INSERT INTO log_postings (term, block, entries) VALUES (?, ?, ?)",
    "lookups": 'INSERT INTO log_lookups (segment, key, "index") VALUES (?, ?, ?)',
    "terms": "INSERT INTO log_terms (term, block) VALUES (?, ?) ON CONFLICT DO NOTHING",
    "checkpoint": "INSERT INTO log_checkpoints (size, frontier, note) VALUES (?, ?, ?)",
    "erased": 'INSERT INTO log_erased ("index", by) VALUES (?, ?)',
}
ERASE = 'DELETE FROM log_details WHERE "index" = ?'
FORGET = 'DELETE FROM log_lookups WHERE segment = ? AND key = ? AND "index" = ?'
RELEASES = tuple(
    f"DELETE FROM {table} WHERE key = ? "  # noqa: S608  # tables of ours
    f'AND ("index" = {UNTIED} OR EXISTS (SELECT 1 FROM log_erased e WHERE e."index" = {table}."index"))'
    for table in ("log_spent_keys", "log_closed_keys")
)
READ_HEAD = (
    'SELECT c.size, c.frontier, c.note, e.last FROM (SELECT max("index") AS last FROM log_entries) e '
    "LEFT JOIN (SELECT size, frontier, note FROM log_checkpoints ORDER BY size DESC LIMIT 1) c ON true"
)


def head_of(row: Row) -> Head:
    """The head by the row that :data:`READ_HEAD` gives. An empty log has neither a checkpoint nor an entry."""
    size, frontier, note, last = row
    if size is None:
        return EMPTY_HEAD if last is None else Head(0, b"", b"")
    try:
        root = b64decode(note.split("\n", 3)[2]) if last == size - 1 else b""
    except (IndexError, ValueError):
        root = b""
    return Head(size, bytes(frontier), root, note)


def erasures(erased: Sequence[Row], forgotten: Sequence[Row], released: Sequence[Row]) -> Iterator[Changes]:
    """Details go, once their rows in ``log_erased`` say so; each statement sees what those before it did.

    ``erased``: index of an entry whose detail goes, index of the entry that says so; ``forgotten``: the lookups that go
    with those details; ``released``: keys that go, if the entries that spent or closed them were erased.
    """
    yield [(INSERTS["erased"], erased)]
    yield [(ERASE, [(index,) for index, _ in erased])]
    if forgotten:
        yield [(FORGET, forgotten)]
    if released:
        yield from ([(release, released)] for release in RELEASES)


class ReadingSessions:
    """A few idle sessions for readers. A session that failed is not kept."""

    IDLE = 4

    def __init__(self, store: Store) -> None:
        self._store = store
        # A list's append and pop are atomic: no lock.
        self._idle: list[Session] = []

    @contextmanager
    def lend(self) -> Iterator[Session]:
        """A session for the length of the block."""
        session = self._take()
        try:
            yield session
        except BaseException:
            session.close()
            raise
        if len(self._idle) < self.IDLE:
            self._idle.append(session)
        else:
            session.close()

    def close(self) -> None:
        """Close the idle ones."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Session:
        try:
            return self._idle.pop()
        except IndexError:
            return self._store.connect()
