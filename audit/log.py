"""The log: callers queue, one thread commits whatever is waiting as one transaction and tells every waiter.

Errors come in two kinds. A batch that fails (database slow or gone) tells its own waiters :class:`LogUnavailable` and
the next batch goes on from the head it finds. A head that contradicts itself is fatal: :class:`LogBroken` for everyone,
until somebody repairs the database and the process starts again.

A crash before COMMIT leaves nothing, and nobody was told anything. A crash after it leaves entries whose callers
received no answer: the log may say more than was released, never less.

Shared state: the queue, which is made for it; ``_broken``, written once by the thread. All else belongs to the thread.
"""

import asyncio
import logging
import os
import threading
import time
from collections import defaultdict
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeAlias

from audit.checkpoint import NoteInvalid, NoteSigner
from audit.commit import HEAD_BROKEN, REWOUND, Commit, Ends, KnownKeys, Sealed, check_head, seal_all
from audit.entry import SALT_BYTES
from audit.model import Append, LogBroken, LogError, LogUnavailable, Receipt
from audit.store import Session, Store, StoreError
from audit.store.port import EMPTY_HEAD, Head
from audit.tiles import fills_a_tile, read_end

ENOUGH = 64
"""Appends waiting that make a batch worth its commit."""
GATHER_SECONDS = 0.005
"""How long the writer waits for others to join a smaller batch.

A commit costs about 640 µs of CPU whatever it holds, an entry 25: without the wait 32 callers make batches of two.
"""

CONTENDED_GATHER_SECONDS = 0.001
"""The same where other processes commit too: long enough for those who were just answered to come again.

The batch is taken before the lock is waited for; without the wait every other batch held two or three entries.
"""

SWITCH_SECONDS = 0.001
"""What a process that writes gives to ``sys.setswitchinterval``.

The writer holds the database's lock while it waits for the interpreter's: at Python's 5 ms another thread's work makes
every other process wait.
"""

Outcome: TypeAlias = Receipt | LogError

_logger = logging.getLogger("accord.audit")


@dataclass(slots=True)
class _Waiting:
    append: Append
    deadline: float
    loop: asyncio.AbstractEventLoop | None
    future: Any
    """An asyncio future when ``loop`` is set, else one of ``concurrent.futures``."""


class Log:
    """One process's writer. Make it with :meth:`open`."""

    def __init__(self, store: Store, key: NoteSigner, *, max_queue: int, max_batch: int, timeout: float) -> None:
        self._store = store
        self._key = key
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._timeout = timeout
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._broken: LogBroken | None = None
        self._closed = False
        self._session: Session | None = None
        self._ends: Ends | None = None
        self._terms: set[str] = set()
        self._last = EMPTY_HEAD
        """The newest head that this process wrote, or checked."""
        self._verifier = key.verifier()
        self._failure: str | None = None
        self._contended = False
        """Whether other processes commit too."""
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)

    @classmethod
    def open(
        cls,
        store: Store,
        key: NoteSigner,
        *,
        origin: str,
        max_queue: int = 4096,
        max_batch: int = 512,
        timeout: float = 5.0,
    ) -> Self:
        """Check the head and start the writer.

        ``timeout``: seconds an append may wait. Raises :class:`LogBroken` when the head contradicts itself or was
        signed by another key, :class:`LogUnavailable` when the database cannot be read.
        """
        if key.name != origin:
            raise LogBroken(f"the log's key is of {key.name!r}, not of {origin!r}: restore the key or the setting")
        log = cls(store, key, max_queue=max_queue, max_batch=max_batch, timeout=timeout)
        try:
            log._check_start()
        except (StoreError, LogBroken) as error:
            store.close()
            if isinstance(error, LogBroken):
                raise
            raise LogUnavailable(f"the log cannot be read: {error}") from None
        log._thread.start()
        return log

    @property
    def is_open(self) -> bool:
        """Whether appends are accepted."""
        return not self._closed and self._broken is None

    async def append(self, append: Append) -> Receipt:
        """Durable when it returns. Raises :class:`LogUnavailable` or :class:`LogBroken`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._enqueue(append, loop, future)
        # A bare timer: asyncio.timeout costs ten times as much.
        timer = loop.call_later(self._timeout, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    def append_blocking(self, append: Append, timeout: float | None = None) -> Receipt:
        """:meth:`append` for a thread without an event loop."""
        future: ThreadFuture[Receipt] = ThreadFuture()
        self._enqueue(append, None, future)
        try:
            return future.result(self._timeout if timeout is None else timeout)
        except TimeoutError:
            raise LogUnavailable("the log did not answer in time") from None

    def close(self) -> None:
        """Commit what is waiting and stop; bounded by the database's own time limits."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join(timeout=30)
            self._store.close()

    def _enqueue(self, append: Append, loop: asyncio.AbstractEventLoop | None, future: Any) -> None:
        if self._broken is not None:
            raise LogBroken(*self._broken.args)
        if self._closed:
            raise LogUnavailable("the log is closed")
        if self._queue.qsize() >= self._max_queue:
            raise LogUnavailable("too many appends are waiting")
        self._queue.put(_Waiting(append, time.monotonic() + self._timeout, loop, future))

    def _check_start(self) -> None:
        with self._store.reading() as session:
            head = session.head()
        self._believe(head)

    def _believe(self, head: Head) -> None:
        """Take a head that another process may have written. Raises :class:`LogBroken`.

        It is signed again with everything under it: whoever can write to the database alone must not choose it.
        """
        if head == self._last:
            return
        check_head(head)
        if head.size < self._last.size or (head.size == self._last.size and head.root != self._last.root):
            raise LogBroken(REWOUND)
        try:
            checkpoint = self._verifier.open(head.note)
        except NoteInvalid as error:
            raise LogBroken(
                f"the newest checkpoint was not signed by this deployment's key: {error}; restore the log's key, or "
                "the database from its last sound backup"
            ) from None
        if (checkpoint.size, checkpoint.root) != (head.size, head.root):
            raise LogBroken(HEAD_BROKEN)
        self._last = head

    def _run(self) -> None:
        last = False
        while not last:
            waiting, last = self._take()
            if not waiting:
                continue
            try:
                outcomes = self._commit(waiting)
                self._tell_operator(None)
            except LogBroken as broken:
                # One of its own: an error that is raised again and again keeps every frame it passed.
                self._broken = LogBroken(*broken.args)
                self._tell_operator(str(broken))
                outcomes = [broken] * len(waiting)
            except Exception as error:  # noqa: BLE001  # one batch fails, whatever it was; the next goes on
                self._tell_operator(str(error) if isinstance(error, StoreError) else type(error).__qualname__)
                self._forget()
                outcomes = [LogUnavailable("the database did not take the entry")] * len(waiting)
            _tell(waiting, outcomes)
        self._forget()

    def _tell_operator(self, failure: str | None) -> None:
        """Say that batches fail, and that they no longer do: once, not for every batch of an outage.

        ``failure`` is a sentence of ours or a type's name: messages of drivers may quote values.
        """
        if failure != self._failure:
            if failure is None:
                _logger.warning("batches are committed again")
            else:
                _logger.error(f"batch failed: {failure}")  # noqa: G004  # the handler keeps the template alone
        self._failure = failure

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Whatever is waiting, at least one; and whether the log was closed."""
        taken: list[_Waiting] = []
        item = self._queue.get()
        if item is not None and self._queue.qsize() < ENOUGH:
            time.sleep(CONTENDED_GATHER_SECONDS if self._contended else GATHER_SECONDS)
        late: list[_Waiting] = []
        now = time.monotonic()
        while item is not None:
            (taken if item.deadline > now else late).append(item)
            if len(taken) >= self._max_batch:
                break
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
        _tell(late, [LogUnavailable("the log did not answer in time")] * len(late))
        return taken, item is None

    def _commit(self, waiting: list[_Waiting]) -> list[Outcome]:
        if self._broken is not None:
            raise LogBroken(*self._broken.args)
        appends = [one.append for one in waiting]
        if self._session is None:
            self._session = self._store.connect()
        session = self._session
        spends, closing = _keys(appends)
        batch: list[Sealed] = []
        receipts: list[Receipt] = []
        seal = partial(_seal_into, batch, appends)
        with session.locked(spends, closing, meanwhile=seal) as locked:
            head = locked.head
            self._contended = head != self._last
            self._believe(head)
            if self._ends is None or self._ends.size != head.size or self._ends.edge.lacks(len(batch)):
                # Another process committed since, or this one has just begun.
                self._ends = self._read_ends(session, head.size, len(batch))
            known = KnownKeys(locked.spent, locked.closed)
            commit = Commit(batch, head=head, ends=self._ends, known=known, signer=self._key)
            session.commit(commit.changes(), meanwhile=lambda: receipts.extend(commit.receipts()))
        self._last = commit.head
        if commit.erases:
            # The open block in memory may hold a detail that is no more.
            self._ends = None
        return list(receipts)

    def _read_ends(self, session: Session, size: int, count: int) -> Ends | None:
        """What a batch of ``count`` fills up: a tile of the lowest level and its block, or nothing."""
        return Ends(size, *read_end(session, size, count), self._terms) if fills_a_tile(0, size, count) else None

    def _forget(self) -> None:
        self._ends, self._terms = None, set()
        if self._session is not None:
            session, self._session = self._session, None
            session.close()


def _seal_into(batch: list[Sealed], appends: list[Append]) -> None:
    batch += seal_all(appends, os.urandom(SALT_BYTES * len(appends)))


def _keys(appends: list[Append]) -> tuple[list[str], list[str]]:
    """The keys that must not be spent, and those that must not be closed."""
    spends = [key for append in appends for key in (*append.spends, *append.one_of)]
    closing = [key for append in appends for key in (*append.requires, *append.closes)]
    return spends, closing


def _tell(waiting: list[_Waiting], outcomes: "list[Outcome] | list[LogUnavailable] | list[LogBroken]") -> None:
    """Wake every waiter: one call for each event loop, not one for each entry."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Outcome]]] = defaultdict(list)
    for one, outcome in zip(waiting, outcomes, strict=True):
        if one.loop is None:
            _resolve([(one.future, outcome)])
        else:
            by_loop[one.loop].append((one.future, outcome))
    for loop, resolved in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, resolved)
        except RuntimeError:
            # The loop was closed: its waiters are gone.
            continue


def _give_up(future: "asyncio.Future[Receipt]") -> None:
    if not future.done():
        future.set_exception(LogUnavailable("the log did not answer in time"))


def _resolve(resolved: list[tuple[Any, Outcome]]) -> None:
    for future, outcome in resolved:
        if future.done():
            continue
        if isinstance(outcome, LogError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
