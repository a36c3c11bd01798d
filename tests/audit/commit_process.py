"""A process that writes the log, and dies or fails at the statement it is told to (``test_commit_machine.py``).

The faults enter by the store that the log is given: a session whose connection counts the statements of a commit.
Nothing of ours is replaced.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append, LogUnavailable, Receipt
from audit.retention import fingerprint
from audit.store import Session, Store, StoreError, open_store
from audit.store.packed import Packed
from audit.store.pipeline import Pipeline
from audit.store.port import Changes, Meanwhile
from audit.store.postgresql import PostgresqlSession
from tests.audit.conftest import ORIGIN

MAX_BATCH = 8
START_SECONDS = 30
ANSWER_SECONDS = 30
LOST = "lost"
LATE = "the log did not answer in time"
NOT_TAKEN = "the database did not take the entry"

_Result = TypeVar("_Result")

# One server forks every writer: a process costs ten milliseconds, not half a second of imports.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.audit.commit_process"])


@dataclass(frozen=True, slots=True)
class Asked:
    """One append, by what it spends, requires and closes; or what it erases, forgets and releases."""

    request_id: str
    grant: str
    withdraws: bool = False
    proof: str | None = None
    once: bool = False
    per_day: int = 0
    erases: tuple[int, ...] = ()
    forgets: tuple[tuple[int, int, int], ...] = ()
    releases: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        if self.erases:
            return "retention.applied"
        return "grant.withdrawn" if self.withdraws else "access"

    def append(self) -> Append:
        skeleton = {"v": 1, "kind": self.kind, "time": "2026-11-24T00:00:00.000Z", "outcome": "ok"}
        if self.erases:
            return self._erasure(skeleton)
        detail = {"citizen": "c", "grant_id": self.grant, "access": "once" if self.once else "recurring"}
        grant = (f"grant:{self.grant}",)
        return Append(
            {**skeleton, "request_id": self.request_id},
            detail,
            spends=(
                *((f"jti:{self.proof}",) if self.proof else ()),
                *((f"once:{self.grant}",) if self.once else ()),
            ),
            requires=() if self.withdraws else grant,
            closes=grant if self.withdraws else (),
            one_of=tuple(f"day:{self.grant}:{slot}" for slot in range(self.per_day)),
        )

    def _erasure(self, skeleton: dict[str, str | int]) -> Append:
        first, last = min(self.erases), max(self.erases)
        said = {"erased": len(self.erases), "first": first, "last": last, "erased_sha256": fingerprint(self.erases)}
        return Append(
            {**skeleton, **said, "request_id": self.request_id},
            erases=self.erases,
            forgets=self.forgets,
            releases=self.releases,
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """At the ``statement``-th statement of what is asked: ``dies`` before it or ``after`` it, or else it fails.

    Statement 0 is none of them: the process dies when its first commit has returned, before anyone is told; or each
    commit fails before its first statement.
    """

    statement: int
    dies: bool = True
    after: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one append came to: a receipt, or why there is none: ``LOST`` with the process,
    ``LATE`` or ``NOT_TAKEN``."""

    request_id: str
    receipt: Receipt | None = None
    error: str = LOST


class Writer:
    """The parent's end of a writing process."""

    def __init__(self, url: str, key: NoteSigner, *, timeout: float) -> None:
        self._connection, theirs = _context.Pipe()
        self._killed = False
        arguments = (theirs, url, key.private_text(), timeout)
        self.process = _context.Process(target=_write, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        assert self._connection.poll(START_SECONDS), "the writer did not start"
        assert self._connection.recv() is None

    def ask(self, asked: Sequence[Asked], fault: Fault | None = None) -> None:
        """Start these appends together."""
        self._connection.send((asked, fault))

    def answers(self, asked: Sequence[Asked]) -> Iterator[Answer]:
        """One for each append asked; whether the process died is known once all were taken."""
        missing = {one.request_id for one in asked}
        with suppress(EOFError, ConnectionError):
            while (answer := self._receive()) is not None:
                missing.remove(answer.request_id)
                yield answer
        yield from map(Answer, missing)

    def died(self) -> bool:
        """Whether it is gone, by SIGKILL as it must."""
        if self._connection.closed or self._killed:
            self._connection.close()
            self.process.join(ANSWER_SECONDS)
            assert self.process.exitcode == -signal.SIGKILL
            return True
        return False

    def kill(self) -> None:
        self._killed = True
        self.process.kill()

    def close(self) -> None:
        """Stop it as an operator does."""
        if not self._connection.closed:
            self._connection.send(None)
            self.process.join(ANSWER_SECONDS)
            assert self.process.exitcode == 0
            self._connection.close()

    def _receive(self) -> Answer | None:
        try:
            assert self._connection.poll(ANSWER_SECONDS), "a wait was not bounded"
            received: Answer | None = self._connection.recv()
        except (EOFError, ConnectionError):
            self._connection.close()
            raise
        return received


class _Faults:
    """Counts statements. Written by the process's first thread, read by the log's."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._count = 0

    def arm(self, fault: Fault | None) -> None:
        self._count, self._fault = 0, fault

    def statement(self, execute: Callable[[], _Result], fail: Callable[[], object]) -> _Result:
        self._count += 1
        fault = self._fault if self._fault is not None and self._fault.statement == self._count else None
        if fault is not None and not fault.dies:
            fail()
        self._die(fault, after=False)
        result = execute()
        # While it waited for a lock all may have been answered: the fault was for what was asked then.
        self._die(fault if fault is self._fault else None, after=True)
        return result

    def commit(self, commit: Callable[[], None]) -> None:
        fault = self._fault if self._fault is not None and self._fault.statement == 0 else None
        if fault is not None and not fault.dies:
            raise StoreError("told to")
        commit()
        if fault is not None:
            self._die(fault, after=fault.after)

    @staticmethod
    def _die(fault: Fault | None, *, after: bool) -> None:
        if fault is not None and fault.dies and fault.after == after:
            os.kill(os.getpid(), signal.SIGKILL)


class _CountedConnection:
    """A driver's connection."""

    def __init__(self, inner: Any, faults: _Faults) -> None:
        self._inner, self._faults = inner, faults

    def execute(self, *arguments: object, **options: object) -> Any:
        return self._faults.statement(lambda: self._inner.execute(*arguments, **options), self._fail)

    def executemany(self, *arguments: object) -> Any:
        return self._faults.statement(lambda: self._inner.executemany(*arguments), self._fail)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _fail(self) -> object:
        return self._inner.execute("SELECT 1 FROM a_table_that_is_not_there")


class _CountedPipeline:
    """The statements of a commit on PostgreSQL, each with the server once it was counted."""

    def __init__(self, inner: Pipeline, faults: _Faults) -> None:
        self._inner, self._faults = inner, faults

    def send(self, statement: str, parameters: Sequence[Packed] = ()) -> None:
        self._faults.statement(lambda: self._send(statement, parameters), self._fail)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _send(self, statement: str, parameters: Sequence[Packed]) -> None:
        self._inner.send(statement, parameters)
        self._inner.go()

    def _fail(self) -> None:
        self._inner.send("SELECT 1 FROM a_table_that_is_not_there")


class _CountedSession:
    def __init__(self, inner: Any, faults: _Faults) -> None:
        inner._connection = _CountedConnection(inner._connection, faults)
        if isinstance(inner, PostgresqlSession):
            inner._pipeline = _CountedPipeline(inner._pipeline, faults)  # type: ignore[assignment]  # it delegates the rest
        self._inner, self._faults = inner, faults

    def commit(self, changes: Iterable[Changes], *, meanwhile: Meanwhile) -> None:
        self._faults.commit(lambda: self._inner.commit(changes, meanwhile=meanwhile))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _FaultyStore:
    def __init__(self, inner: Store, faults: _Faults) -> None:
        self._inner, self._faults = inner, faults

    def connect(self) -> Session:
        return _CountedSession(self._inner.connect(), self._faults)  # type: ignore[return-value]  # it delegates the rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _write(connection: Connection, url: str, private: str, timeout: float) -> None:
    faults = _Faults()
    store = _FaultyStore(open_store(url), faults)
    log = Log.open(store, NoteSigner.parse(private), origin=ORIGIN, max_batch=MAX_BATCH, timeout=timeout)
    connection.send(None)
    while (order := connection.recv()) is not None:
        asked, fault = order
        faults.arm(fault)
        asyncio.run(_append_all(log, asked, connection))
        faults.arm(None)
        connection.send(None)
    log.close()


async def _append_all(log: Log, asked: Sequence[Asked], connection: Connection) -> None:
    async def one(each: Asked) -> None:
        try:
            answer = Answer(each.request_id, await log.append(each.append()))
        except LogUnavailable as error:
            answer = Answer(each.request_id, error=str(error))
        connection.send(answer)

    await asyncio.gather(*map(one, asked))
