"""The log on PostgreSQL: one writer at a time by a lock on the head's row, rows by ``COPY``."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg

from audit.store.port import (
    CHECKPOINT,
    INSERTS,
    MOVE_HEAD,
    READ_HEAD,
    Batch,
    Head,
    ReadingSessions,
    Row,
    Session,
    StoreError,
    rare_changes,
)

CONNECT_SECONDS = 4
STATEMENT_MILLISECONDS = 4_000
_STREAM_ROWS = 2_000


class PostgresqlStore:
    """One database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._readers = ReadingSessions(self)

    def connect(self) -> Session:
        """A new session."""
        try:
            return PostgresqlSession(self._url)
        except psycopg.Error as error:
            raise StoreError(f"cannot reach the log's database: {type(error).__name__}") from None

    def reading(self) -> AbstractContextManager[Session]:
        """A session for reading."""
        return self._readers.lend()

    def close(self) -> None:
        """Close the idle sessions."""
        self._readers.close()


class PostgresqlSession:
    """One connection."""

    def __init__(self, url: str) -> None:
        options = f"-c statement_timeout={STATEMENT_MILLISECONDS} -c lock_timeout={STATEMENT_MILLISECONDS}"
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=options, prepare_threshold=1
        )
        self._locking = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The first reading of the head inside it locks the head's row."""
        with _translated():
            self._locking = True
            try:
                with self._connection.transaction():
                    yield
            finally:
                self._locking = False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A read-only transaction that sees one moment."""
        with _translated():
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def head(self) -> Head:
        """The head, locked inside a transaction."""
        statement = READ_HEAD + " FOR UPDATE" if self._locking else READ_HEAD
        row = self.rows(statement)[0]
        return Head(row[0], bytes(row[1]), bytes(row[2]))

    def known(self, table: str, keys: Sequence[str]) -> set[str]:
        """Which of ``keys`` are in ``table``."""
        return {row[0] for row in self.rows(f"SELECT key FROM {table} WHERE key = ANY(?)", (list(keys),))}  # noqa: S608  # a table of ours

    def write(self, batch: Batch) -> None:
        """Write the rows of a commit, in one round trip but for the copies."""
        with _translated(), self._connection.cursor() as cursor:
            for name, statement in INSERTS.items():
                if rows := getattr(batch, name):
                    with cursor.copy(_copy_of(statement)) as copy:
                        for row in rows:
                            copy.write_row(row)
            for statement, rows in rare_changes(batch):
                cursor.executemany(_psycopg(statement), rows)
            with self._connection.pipeline():
                cursor.execute(_psycopg(CHECKPOINT), (batch.head.size, batch.note))
                cursor.execute(_psycopg(MOVE_HEAD), (batch.head.size, batch.head.frontier, batch.head.root))

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a reading statement."""
        with _translated():
            return self._connection.execute(_psycopg(statement), parameters).fetchall()

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Rows one after the other, by a cursor on the server."""
        with _translated(), self._connection.transaction(), self._connection.cursor("stream") as cursor:
            cursor.itersize = _STREAM_ROWS
            cursor.execute(_psycopg(statement), parameters)
            yield from cursor

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """A statement that writes."""
        with _translated():
            self._connection.execute(_psycopg(statement), parameters)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _psycopg(statement: str) -> Any:
    # psycopg wants literal statements in its types; these are constants of this package.
    return statement.replace("?", "%s")


def _copy_of(statement: str) -> Any:
    """``INSERT INTO table (columns) VALUES ...`` -> ``COPY table (columns) FROM STDIN``."""
    return statement.removeprefix("INSERT INTO ").partition(" VALUES")[0].join(("COPY ", " FROM STDIN"))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # The type alone: messages may quote values.
        raise StoreError(type(error).__name__) from error
