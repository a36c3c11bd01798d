"""A log in an SQLite file, opened for reading alone: also one that was copied to where nobody may write."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from audit.sources.database import DatabaseReader, Row
from audit.sources.port import SourceUnavailable

BUSY_SECONDS = 10.0
_LEAST_ROWID, _MOST_ROWID = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """A file."""

    path: str

    def open(self) -> DatabaseReader:
        """Raises :class:`SourceUnavailable` when there is no such file, or it is not a log's."""
        if not Path(self.path).is_file():
            raise SourceUnavailable(f"there is no file {self.path}")
        return DatabaseReader(SqliteConnection(self.path))


class SqliteConnection:
    """One connection; texts are given as bytes, also those that are not UTF-8."""

    def __init__(self, path: str) -> None:
        with _translated():
            try:
                self._connection = _connected(path, "mode=ro")
            except sqlite3.OperationalError:
                # A file in WAL mode needs another beside it, which a read-only folder does not take.
                if Path(f"{path}-wal").exists():
                    raise
                self._connection = _connected(path, "immutable=1")

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows."""
        with _translated():
            return self._connection.execute(statement, parameters).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A deferred transaction reads from one moment."""
        with _translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def slices(self, table: str, rows: int) -> list[tuple[int | None, int | None]]:
        """By ``rowid``, as many rows in each: they are not as close together as whoever writes them says."""
        next_bound = f"SELECT rowid FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1 OFFSET ?"  # noqa: S608  # a table of ours
        bounds: list[int | None] = [None]
        first = _LEAST_ROWID
        while found := self.rows(next_bound, (first, rows)):
            first = found[0][0]
            bounds.append(first)
        return list(pairwise([*bounds, None]))

    def slice(self, table: str, columns: str, first: int | None, end: int | None) -> Iterator[Row]:
        """The rows of a slice."""
        statement = f"SELECT {columns} FROM {table} WHERE rowid >= ? AND rowid < ?"  # noqa: S608  # idem
        if end is None:
            statement = statement.replace("rowid < ?", "rowid <= ?")
        bounds = (_LEAST_ROWID if first is None else first, _MOST_ROWID if end is None else end)
        with _translated():
            yield from self._connection.execute(statement, bounds)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _connected(path: str, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(path)}?{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes
    try:
        connection.execute("SELECT 1 FROM log_checkpoints LIMIT 1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # The type alone: messages may quote values.
        raise SourceUnavailable(f"the log's database cannot be read ({type(error).__name__})") from None
