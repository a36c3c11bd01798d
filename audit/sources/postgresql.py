"""A log in a PostgreSQL database, read over a connection that writes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg

from audit.sources.database import DatabaseReader, Row
from audit.sources.port import SourceUnavailable

CONNECT_SECONDS = 10
STATEMENT_MILLISECONDS = 120_000

_ROWS_OF_A_PAGE = 60
"""About as many of a table of keys; what is right is counted by the pages."""


@dataclass(frozen=True, slots=True)
class PostgresqlSource:
    """A database by its URL."""

    url: str

    def open(self) -> DatabaseReader:
        """Raises :class:`SourceUnavailable` when it cannot be reached."""
        return DatabaseReader(PostgresqlConnection(self.url))

    def __repr__(self) -> str:
        return "PostgresqlSource(...)"


class PostgresqlConnection:
    """One connection; values come in binary, which is what most of them are."""

    def __init__(self, url: str) -> None:
        options = f"-c statement_timeout={STATEMENT_MILLISECONDS} -c default_transaction_read_only=on"
        with _translated():
            self._connection: psycopg.Connection[Any] = psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=options, prepare_threshold=1
            )

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows."""
        with _translated():
            return self._connection.execute(_psycopg(statement), parameters, binary=True).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A transaction that sees one moment."""
        with _translated():
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def slices(self, table: str, rows: int) -> list[tuple[int | None, int | None]]:
        """By the number of the page."""
        size = "SELECT pg_relation_size(CAST(? AS regclass)) / current_setting('block_size')::bigint"
        step = max(1, rows // _ROWS_OF_A_PAGE)
        bounds = [None, *range(step, self.rows(size, (table,))[0][0], step), None]
        return list(pairwise(bounds))

    def slice(self, table: str, columns: str, first: int | None, end: int | None) -> Iterator[Row]:
        """The rows of a slice."""
        conditions = [f"ctid >= '({first},0)'::tid"] if first is not None else []
        conditions += [f"ctid < '({end},0)'::tid"] if end is not None else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        yield from self.rows(f"SELECT {columns} FROM {table}{where}")  # noqa: S608  # a table of ours, numbers of ours

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _psycopg(statement: str) -> Any:
    # psycopg wants literal statements in its types; these are constants of this package.
    return statement.replace("?", "%s")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # The type alone: messages may quote values.
        raise SourceUnavailable(f"the log's database cannot be read ({type(error).__name__})") from None
