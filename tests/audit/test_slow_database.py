"""A database that is slow, stopped or tampered with: appends are refused in time, and the log goes on or stops."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from audit.checkpoint import Checkpoint, NoteSigner
from audit.log import Log
from audit.merkle import Growth
from audit.model import Append, LogBroken, LogUnavailable, Receipt
from audit.store import open_store
from audit.verify_database import verify_database
from exchange.database import open_engine
from tests.audit.commit_process import LATE, NOT_TAKEN
from tests.audit.conftest import ORIGIN, migrate
from tests.audit.tampering import tamper
from tests.postgresql_server import PostgresqlServer

pytestmark = pytest.mark.enable_socket

SOON = 3.0
"""Seconds that a refusal in time may take on a busy machine."""
LOCK_SECONDS = 4.0
"""After which a statement that waits for a lock gives up, on both engines."""


def note(number: int) -> Append:
    skeleton = {"v": 1, "kind": "access", "time": "2026-11-24T00:00:00.000Z", "request_id": str(number)}
    return Append({**skeleton, "outcome": "ok"}, {"citizen": "c"})


@contextmanager
def open_log(url: str, key: NoteSigner, *, timeout: float) -> Iterator[Log]:
    log = Log.open(open_store(url), key, origin=ORIGIN, timeout=timeout)
    yield log
    log.close()


@contextmanager
def held(url: str) -> Iterator[ExitStack]:
    """The log's lock in another connection's hands until the stack is closed."""
    store = open_store(url)
    with closing(store.connect()) as session, ExitStack() as stack:
        stack.enter_context(session.locked([], []))
        yield stack


def verified(url: str, key: NoteSigner) -> int:
    verdict = verify_database(url, key.vkey)
    assert verdict.ok, verdict.findings
    return verdict.size


def told(log: Log, number: int) -> Receipt | LogUnavailable:
    try:
        return log.append_blocking(note(number))
    except LogUnavailable as error:
        return error


async def all_told(log: Log, count: int) -> list[Receipt | BaseException]:
    return await asyncio.gather(*(log.append(note(number)) for number in range(count)), return_exceptions=True)


def test_while_another_holds_the_lock_appends_are_refused_in_time(database_url: str, key: NoteSigner) -> None:
    with open_log(database_url, key, timeout=0.3) as log:
        with held(database_url):
            began = time.monotonic()
            refused = asyncio.run(all_told(log, 50))
            assert time.monotonic() - began < SOON
            assert {str(one) for one in refused} == {LATE}
            assert str(told(log, 50)) == LATE
        _goes_on(log)
    # Those that waited may stand in the log, at most once each; verifying counts them.
    assert verified(database_url, key) <= 60


def test_a_statement_that_waits_too_long_fails_its_batch_and_the_next_goes_on(
    database_url: str, key: NoteSigner, caplog: pytest.LogCaptureFixture
) -> None:
    with open_log(database_url, key, timeout=30) as log:
        with held(database_url):
            began = time.monotonic()
            refused = asyncio.run(all_told(log, 3))
            waited = time.monotonic() - began
        assert {str(one) for one in refused} == {NOT_TAKEN}
        assert LOCK_SECONDS - 1 < waited < LOCK_SECONDS + SOON
        assert log.append_blocking(note(3)).index == 0
    told_operator = [record.msg for record in caplog.records if record.name == "accord.audit"]
    assert len(told_operator) == 2
    assert re.fullmatch("batch failed: (OperationalError|LockNotAvailable|QueryCanceled)", told_operator[0])
    assert told_operator[1] == "batches are committed again"
    assert verified(database_url, key) == 1


def test_the_4097th_append_that_waits_is_refused_at_once(database_url: str, key: NoteSigner) -> None:
    async def fill(log: Log) -> list[Receipt | BaseException]:
        with held(database_url) as stack:
            first = asyncio.create_task(log.append(note(0)))
            # The writer has taken it, and waits for the lock with it.
            await asyncio.sleep(0.5)
            waiting = [asyncio.create_task(log.append(note(1 + number))) for number in range(4_096)]
            await asyncio.sleep(0)
            began = time.monotonic()
            with pytest.raises(LogUnavailable, match="too many appends are waiting"):
                await log.append(note(4_097))
            assert time.monotonic() - began < 0.1
            stack.close()
            return await asyncio.gather(first, *waiting)

    with open_log(database_url, key, timeout=30) as log:
        answered = asyncio.run(fill(log))
        assert {type(one) for one in answered} == {Receipt}
    assert verified(database_url, key) == 4_097


def _goes_on(log: Log) -> None:
    deadline = time.monotonic() + 20
    while not isinstance(told(log, 1_000_000), Receipt):
        assert time.monotonic() < deadline, "the log did not go on"


@pytest.fixture
def stopped_url(server: PostgresqlServer) -> Iterator[str]:
    """A log on a server that may be stopped."""
    name = f"accord_{uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server.url).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    yield url
    server.go_on()


def test_a_stopped_postgresql_releases_nothing_and_the_log_goes_on_with_it(
    stopped_url: str, server: PostgresqlServer, key: NoteSigner
) -> None:
    with open_log(stopped_url, key, timeout=0.5) as log:
        assert log.append_blocking(note(0)).index == 0
        server.stop()
        for _ in range(2):
            began = time.monotonic()
            refused = asyncio.run(all_told(log, 50))
            assert time.monotonic() - began < SOON
            assert {type(one) for one in refused} == {LogUnavailable}
        server.go_on()
        _goes_on(log)
    assert 2 <= verified(stopped_url, key) <= 1 + 100 + 40


def test_a_log_on_a_stopped_postgresql_does_not_open_and_says_so_in_time(
    stopped_url: str, server: PostgresqlServer, key: NoteSigner
) -> None:
    server.stop()
    began = time.monotonic()
    with pytest.raises(LogUnavailable):
        Log.open(open_store(stopped_url), key, origin=ORIGIN)
    assert time.monotonic() - began < LOCK_SECONDS + SOON


def test_a_database_host_that_vanishes_is_noticed_in_seconds(stopped_url: str) -> None:
    engine = open_engine(stopped_url)
    with closing(open_store(stopped_url).connect()) as session, engine.connect() as connection:
        for descriptor in (session._connection.fileno(), connection.connection.fileno()):  # type: ignore[attr-defined]  # psycopg's
            with socket.socket(fileno=os.dup(descriptor)) as one:
                assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                probes = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
                seconds = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                seconds += probes * one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
                assert seconds <= 10
                assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    engine.dispose()


def test_a_server_that_ends_with_the_commit_under_way_is_told_as_a_failure(
    stopped_url: str, server: PostgresqlServer, key: NoteSigner
) -> None:
    """Whether it is in the log nobody knows then: it is never told as a success."""

    async def killed(log: Log) -> list[Receipt | BaseException]:
        waiting = asyncio.create_task(all_told(log, 20))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.kill)
        return await waiting

    with open_log(stopped_url, key, timeout=30) as log:
        assert log.append_blocking(note(0)).index == 0
        # Stopped, it takes what it is sent, and ends before it answers.
        server.stop()
        try:
            refused = asyncio.run(killed(log))
        finally:
            server.start()
        assert {str(one) for one in refused} == {NOT_TAKEN}
        _goes_on(log)
    assert 2 <= verified(stopped_url, key) <= 1 + 20 + 40


_OF_MORE = "a checkpoint of entries that are not there"
_OF_ANOTHER = "the frontier of another log"
_TAMPERINGS = {
    _OF_ANOTHER: "UPDATE log_checkpoints SET frontier = ? WHERE size = 3",
    "the newest checkpoint away": "DELETE FROM log_checkpoints WHERE size = 3",
    "every checkpoint away": "DELETE FROM log_checkpoints",
    "the newest entry away": 'DELETE FROM log_entries WHERE "index" = 2',
    "the last entries away": 'DELETE FROM log_entries WHERE "index" > 0',
    _OF_MORE: "INSERT INTO log_checkpoints (size, frontier, note) VALUES (?, ?, ?)",
}


@pytest.mark.parametrize("tampering", _TAMPERINGS)
def test_a_log_whose_head_does_not_match_its_entries_stops_and_says_how_to_repair_it(
    database_url: str, key: NoteSigner, tampering: str
) -> None:
    with open_log(database_url, key, timeout=30) as log:
        for number in range(3):
            log.append_blocking(note(number))
        parameters = {_OF_MORE: of_more(database_url, key), _OF_ANOTHER: (bytes(64),)}
        tamper(database_url, _TAMPERINGS[tampering], parameters.get(tampering, ()))
        entries = _count(database_url)
        for _ in range(2):
            with pytest.raises(LogBroken, match=r"'accord audit verify'.*restore the database"):
                log.append_blocking(note(3))
        assert not log.is_open
        assert _count(database_url) == entries
        assert _depth(log) == _depth(log), "what is refused is kept"
    with pytest.raises(LogBroken, match=r"'accord audit verify'.*restore the database"):
        Log.open(open_store(database_url), key, origin=ORIGIN)
    assert not verify_database(database_url, key.vkey).ok


def _depth(log: Log) -> int:
    """Of the trace of a refusal."""
    with pytest.raises(LogBroken) as caught:
        log.append_blocking(note(3))
    return len(caught.traceback)


def of_more(url: str, key: NoteSigner) -> tuple[object, ...]:
    """A checkpoint's row that agrees with itself, signed by the log's own key."""
    store = open_store(url)
    with store.reading() as session:
        head = session.head()
    store.close()
    old = tuple(head.frontier[at : at + 32] for at in range(0, len(head.frontier), 32))
    growth = Growth(head.size, old, [bytes(32)])
    return growth.size, b"".join(growth.frontier), key.sign(Checkpoint(ORIGIN, growth.size, growth.root))


def _count(url: str) -> int:
    store = open_store(url)
    with store.reading() as session:
        ((count,),) = session.rows("SELECT count(*) FROM log_entries")
    store.close()
    return int(count)
