"""The log on PostgreSQL: one writer at a time by an advisory lock; a commit is two round trips."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from audit.store.packed import Packed, packed, packed_integer, packed_texts
from audit.store.pipeline import Pipeline
from audit.store.port import (
    ERASE,
    FORGET,
    READ_HEAD,
    RELEASES,
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

CONNECT_SECONDS = 4
STATEMENT_MILLISECONDS = 4_000
NOTICES_SILENCE: Mapping[str, Any] = {
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A host that vanished answers nothing: its connections end after ten seconds, not after the system's quarter hour."""
_STREAM_ROWS = 2_000

# Whatever the database's default: what is read after the lock must be what stands then.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# Writers are served in the order in which they came, which the lock of a row does not promise.
_LOCK = "SELECT pg_advisory_xact_lock(4703804577889735495)"
_HEAD_AND_KEYS = READ_HEAD.replace(
    " FROM ",
    ", ARRAY(SELECT key FROM log_spent_keys WHERE key = ANY($1)), "
    "ARRAY(SELECT key FROM log_closed_keys WHERE key = ANY($2)) FROM ",
    1,
)
DELETES: Mapping[str, str] = {
    ERASE: 'DELETE FROM log_details WHERE "index" = ANY(?)',
    FORGET: "DELETE FROM log_lookups l USING unnest(?, ?, ?) f(segment, key, at) "
    'WHERE l.segment = f.segment AND l.key = f.key AND l."index" = f.at',
    **{release: release.replace("key = ?", "key = ANY(?)") for release in RELEASES},
}


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
            url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=options,
            prepare_threshold=1,
            **NOTICES_SILENCE,
        )
        self._pipeline = Pipeline(self._connection)

    @contextmanager
    def locked(
        self, spends: Sequence[str], closing: Sequence[str], *, meanwhile: Meanwhile = nothing
    ) -> Iterator[Locked]:
        """The lock is taken first: what is read after it, in the same round trip, cannot change."""
        with _translated():
            try:
                with self._pipeline.asking():
                    self._pipeline.send(_BEGIN)
                    self._pipeline.send(_LOCK)
                    self._pipeline.send(_HEAD_AND_KEYS, [packed_texts(spends), packed_texts(closing)])
                    self._pipeline.go(last=True)
                    meanwhile()
                *head, spent, closed = self._pipeline.rows(2)[0]
                yield Locked(head_of(tuple(head)), set(spent), set(closed))
            finally:
                if self._connection.info.transaction_status != TransactionStatus.IDLE:
                    self._roll_back()

    def commit(self, changes: Iterable[Changes], *, meanwhile: Meanwhile = nothing) -> None:
        """Write the rows and commit, in one round trip: the server works on the first while the last are made."""
        with _translated(), self._pipeline.asking():
            for some in changes:
                self._pipeline.send(*_at_once(some))
                self._pipeline.go()
            self._pipeline.send("COMMIT")
            self._pipeline.go(last=True)
            meanwhile()

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            # The connection is gone, and the transaction with it.
            self._connection.close()

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
        """The head."""
        return head_of(self.rows(READ_HEAD)[0])

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a reading statement."""
        with _translated():
            return self._connection.execute(_psycopg(statement), parameters, binary=True).fetchall()

    def rows_of(self, queries: Sequence[tuple[str, Sequence[int]]]) -> list[list[Row]]:
        """The rows of several reading statements, in one round trip."""
        with _translated():
            with self._pipeline.asking():
                for query, given in queries:
                    self._pipeline.send(_numbered(query), [packed_integer(one) for one in given])
            return [self._pipeline.rows(number) for number in range(len(queries))]

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Rows one after the other, by a cursor on the server."""
        with _translated(), self._connection.transaction(), self._connection.cursor("stream") as cursor:
            cursor.itersize = _STREAM_ROWS
            cursor.execute(_psycopg(statement), parameters, binary=True)
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


def _at_once(changes: Changes) -> tuple[str, list[Packed]]:
    """One statement for all the rows of several tables, their columns as arrays."""
    columns = [packed(column) for _, rows in changes for column in zip(*rows, strict=True)]
    return _together(tuple(statement for statement, _ in changes)), columns


@lru_cache(maxsize=256)
def _together(statements: tuple[str, ...]) -> str:
    """``WITH t1 AS (INSERT ...), t2 AS (INSERT ...) INSERT ...``: a statement costs more than the rows of another."""
    *others, last = [DELETES.get(one) or _unnested(one) for one in statements]
    named = ", ".join([f"t{number} AS ({one})" for number, one in enumerate(others)])
    return _numbered(f"WITH {named} {last}" if named else last)


@lru_cache(maxsize=64)
def _numbered(statement: str) -> str:
    """``? ... ?`` -> ``$1 ... $2``, as libpq wants its marks."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", statement)


def _unnested(statement: str) -> str:
    """``INSERT INTO t (a, b) VALUES (?, ?) ...`` -> ``INSERT INTO t (a, b) SELECT unnest(?), unnest(?) ...``.

    The arrays are all as long as each other. ``FROM unnest(?, ?)`` would put every row by before any is inserted.
    """
    into, _, rest = statement.partition(" VALUES (")
    marks, _, conflict = rest.partition(")")
    columns = ", ".join(["unnest(?)"] * marks.count("?"))
    return f"{into} SELECT {columns}{conflict}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # The type alone: messages may quote values.
        raise StoreError(type(error).__name__) from error
