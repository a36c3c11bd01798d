"""Statements asked of PostgreSQL without waiting for each other: what was sent is answered, fails, or ends in time."""

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from audit.store import pipeline as pipelines
from audit.store.packed import PackedBytes, packed, packed_integer, packed_texts
from audit.store.pipeline import Pipeline
from tests.postgresql_server import PostgresqlServer

pytestmark = pytest.mark.enable_socket

DOUBLED = "SELECT 2 * $1"


@pytest.fixture
def connection(server: PostgresqlServer) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        yield connection
    server.go_on()


def ask(pipeline: Pipeline, *statements: str, raising: Exception | None = None) -> None:
    with pipeline.asking():
        for statement in statements:
            pipeline.send(statement)
        if raising is not None:
            raise raising


def doubled(pipeline: Pipeline, *numbers: int) -> list[int]:
    with pipeline.asking():
        for number in numbers:
            pipeline.send(DOUBLED, [packed_integer(number)])
    return [pipeline.rows(at)[0][0] for at in range(len(numbers))]


def test_answers_come_in_the_order_of_the_statements(connection: psycopg.Connection) -> None:
    pipeline = Pipeline(connection)
    assert doubled(pipeline, 1, -2, 2**62 - 1) == [2, -4, 2**63 - 2]
    assert doubled(pipeline, 7) == [14]


def test_every_type_of_the_log_is_read_as_it_was_written(connection: psycopg.Connection) -> None:
    pipeline = Pipeline(connection)
    with pipeline.asking():
        pipeline.send("SELECT * FROM unnest($1, $2, $3)", [packed([1, -2]), packed(["é", ""]), packed([b"\0", b""])])
        pipeline.send("SELECT $1, NULL::bigint, $2", [packed_texts(["a", "ü"]), packed_texts([])])
    assert pipeline.rows(0) == [(1, "é", b"\0"), (-2, "", b"")]
    assert pipeline.rows(1) == [(["a", "ü"], None, [])]


def test_the_first_statement_that_fails_ends_those_after_it_and_the_connection_goes_on(
    connection: psycopg.Connection,
) -> None:
    pipeline = Pipeline(connection)
    connection.execute("CREATE TEMPORARY TABLE kept (one bigint)")
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            ask(
                pipeline,
                "BEGIN",
                "INSERT INTO kept VALUES (1)",
                "SELECT 1 / 0",
                "INSERT INTO kept VALUES (2)",
                "COMMIT",
            )
        connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM kept").fetchall() == [(0,)]
    assert doubled(pipeline, 4) == [8]


def test_a_statement_that_could_not_be_prepared_is_prepared_the_next_time(connection: psycopg.Connection) -> None:
    pipeline = Pipeline(connection)
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            ask(pipeline, "SELECT 1 FROM missing", "SELECT 2 FROM pg_class")
    connection.execute("CREATE TEMPORARY TABLE missing (one bigint)")
    ask(pipeline, "SELECT 1 FROM missing", "SELECT 2 FROM pg_class")
    assert pipeline.rows(0) == []
    assert pipeline.rows(1)[0] == (2,)


def test_more_than_the_systems_buffers_hold_goes_both_ways_at_once(connection: psycopg.Connection) -> None:
    pipeline, large = Pipeline(connection), PackedBytes(packed([b"x" * 20_000_000]))
    with pipeline.asking():
        for _ in range(3):
            pipeline.send("SELECT $1", [large])
    assert [len(pipeline.rows(at)[0][0][0]) for at in range(3)] == [20_000_000] * 3


def test_a_connection_that_the_server_ends_is_an_error_at_once(
    connection: psycopg.Connection, server: PostgresqlServer
) -> None:
    pipeline = Pipeline(connection)
    assert doubled(pipeline, 1) == [2]
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.Error):
        doubled(pipeline, 1)
    assert connection.closed


def test_a_server_that_is_silent_is_waited_for_no_longer_than_agreed(
    connection: psycopg.Connection, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "ANSWER_SECONDS", 0.3)
    pipeline = Pipeline(connection)
    assert doubled(pipeline, 1) == [2]
    server.stop()
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="in time"):
        doubled(pipeline, 1)
    assert time.monotonic() - began < 3
    assert connection.closed


def test_a_block_that_is_left_by_an_error_closes_the_connection_and_sends_no_commit(
    connection: psycopg.Connection, server: PostgresqlServer
) -> None:
    pipeline = Pipeline(connection)
    connection.execute("CREATE TABLE half (one bigint)")
    with pytest.raises(ZeroDivisionError):
        ask(pipeline, "BEGIN", "INSERT INTO half VALUES (1)", raising=ZeroDivisionError())
    assert connection.closed
    with psycopg.connect(server.url, autocommit=True) as other:
        assert other.execute("SELECT count(*) FROM half").fetchall() == [(0,)]
