"""The log on SQLite: durable (WAL, synchronous=FULL), one writer at a time by ``BEGIN IMMEDIATE``."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from audit.store.port import (
    READ_HEAD,
    Changes,
    Head,
    Locked,
    Meanwhile,
    ReadingSessions,
    Row,
    Session,
    StoreError,
    head_of,
    nothing,
)

BUSY_SECONDS = 4.0
"""How long a statement waits for another writer."""

_MOST_MARKS = 10_000
"""Values in one statement; SQLite takes 32,766."""

_AGAIN_SECONDS = 0.01
_LOOK_SECONDS = 0.0005
_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-32768",
    # Without it INSERT OR REPLACE would pass the triggers that refuse to delete.
    "PRAGMA recursive_triggers=ON",
    # What a retention run erases is overwritten, not merely let go of.
    "PRAGMA secure_delete=ON",
)


class SqliteStore:
    """One file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._readers = ReadingSessions(self)

    def connect(self) -> Session:
        """A new session; the file must be there."""
        try:
            return SqliteSession(self._path)
        except sqlite3.Error as error:
            raise StoreError(f"cannot open the log: {type(error).__name__}") from None

    def reading(self) -> AbstractContextManager[Session]:
        """A session for reading."""
        return self._readers.lend()

    def close(self) -> None:
        """Close the idle sessions."""
        self._readers.close()


class SqliteSession:
    """One connection."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        keep_a_journal_ahead(self._connection)
        for pragma in _PRAGMAS:
            self._connection.execute(pragma)

    @contextmanager
    def locked(
        self, spends: Sequence[str], closing: Sequence[str], *, meanwhile: Meanwhile = nothing
    ) -> Iterator[Locked]:
        """With the database's write lock the head cannot move."""
        meanwhile()
        with _translated():
            take_write_lock(self._connection)
            try:
                yield Locked(
                    self.head(), self._known("log_spent_keys", spends), self._known("log_closed_keys", closing)
                )
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def commit(self, changes: Iterable[Changes], *, meanwhile: Meanwhile = nothing) -> None:
        """Write the rows and commit."""
        with _translated():
            for some in changes:
                for statement, rows in some:
                    self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        meanwhile()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A deferred transaction reads from one moment."""
        with _translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def head(self) -> Head:
        """The head."""
        with _translated():
            return head_of(self._connection.execute(READ_HEAD).fetchone())

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a reading statement."""
        with _translated():
            return self._connection.execute(statement, parameters).fetchall()

    def rows_of(self, queries: Sequence[tuple[str, Sequence[int]]]) -> list[list[Row]]:
        """The rows of several reading statements."""
        return [self.rows(statement, parameters) for statement, parameters in queries]

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Rows one after the other."""
        with _translated():
            yield from self._connection.execute(statement, parameters)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """A statement that writes."""
        with _translated():
            self._connection.execute(statement, parameters)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _known(self, table: str, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for at in range(0, len(keys), _MOST_MARKS):
            some = keys[at : at + _MOST_MARKS]
            statement = f"SELECT key FROM {table} WHERE key IN ({','.join('?' * len(some))})"  # noqa: S608  # a table of ours, marks for the values
            found.update(row[0] for row in self._connection.execute(statement, some))
        return found


def keep_a_journal_ahead(connection: sqlite3.Connection) -> None:
    """Set the file's mode. SQLite turns away, without waiting, who opens a new file as others do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def take_write_lock(connection: sqlite3.Connection, seconds: float = BUSY_SECONDS) -> None:
    """``BEGIN IMMEDIATE``, waiting for whoever writes. Raises ``sqlite3.OperationalError`` after ``seconds``.

    SQLite itself looks ever more seldom, in the end ten times a second: under load whoever has waited is passed by
    whoever comes. Every writer of a file should wait in this way.
    """
    deadline = time.monotonic() + seconds
    ((before,),) = connection.execute("PRAGMA busy_timeout").fetchall()
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while not _begins(connection, last=time.monotonic() > deadline):
            time.sleep(_LOOK_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout={before}")


def _begins(connection: sqlite3.Connection, *, last: bool) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if last or not _is_busy(error):
            raise
        return False
    return True


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Somebody else writes, or mends the file after a crash: the low byte is the kind of the error."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # The type alone: messages may quote values.
        raise StoreError(type(error).__name__) from error
