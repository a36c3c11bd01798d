"""What a gateway knows without asking: the registry and the standing of every grant, kept fresh by one thread.

The thread asks the database for what changed; when it has not managed to for ``max_age`` seconds the knowledge is
too old and :meth:`Feed.status` refuses: never a guess. This is the fast path only. The log's commit is what makes a
withdrawal final on every gateway at once (``audit``); the feed saves the holder a call.

Shared state: the registry is replaced whole (one assignment), the status list is written by the thread and by
:meth:`Feed.changed` under a lock, and read without one: a byte is read whole.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from consent.status import VALID, StatusList
from exchange.logs import log, log_defect
from exchange.model import Registry
from openapi.problem import AccordError


class RegistrySource(Protocol):
    """Where the registry is read from."""

    def version(self) -> int:
        """The newest version."""
        ...

    def read(self) -> Registry:
        """The whole registry."""
        ...


class GrantSource(Protocol):
    """Where changes of grants are read from: ``(change, status index, status)``, oldest first."""

    def changes_since(self, change: int) -> Sequence[tuple[int, int, int]]:
        """What changed after ``change``."""
        ...


class Feed:
    """Fills ``knowledge.Knowledge`` and ``consent.ports.GrantFeed``."""

    def __init__(
        self,
        *,
        registry: RegistrySource,
        grants: GrantSource,
        interval: float,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry_source = registry
        self._grants = grants
        self._interval = interval
        self._max_age = max_age
        self._clock = clock
        self._ended: Callable[[int], None] = lambda _index: None
        self._statuses = StatusList()
        self._lock = threading.Lock()
        self._last_change = 0
        self._read_at = float("-inf")
        self._registry = registry.read()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def follow(self, ended: Callable[[int], None]) -> None:
        """``ended`` is told of each authorisation that stands no longer, once this process knows that it does not."""
        self._ended = ended

    def start(self) -> None:
        """Read everything once, so that the first exchange knows all, then keep reading."""
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; bounded by one reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def registry(self) -> Registry:
        """The newest registry read."""
        return self._registry

    @property
    def is_fresh(self) -> bool:
        """Whether exchanges may rely on what is known."""
        return self._clock() - self._read_at <= self._max_age

    def status(self, index: int) -> int:
        """The grant's status (``consent.status``). Raises ``AccordError('status_feed_stale')``."""
        if not self.is_fresh:
            raise AccordError("status_feed_stale", retry_in=5)
        return self._statuses.get(index)

    def stands(self, index: int) -> bool:
        """Whether the grant is known to be valid; false when nobody knows."""
        return self.is_fresh and self._statuses.get(index) == VALID

    def changed(self, status_index: int, status: int) -> None:
        """A change made in this process counts at once."""
        with self._lock:
            self._statuses.set(status_index, status)
        self._tell(status_index, status)

    def refresh(self) -> None:
        """Read what changed since the last time."""
        began = self._clock()
        if self._registry_source.version() != self._registry.version:
            self._registry = self._registry_source.read()
        changes = self._grants.changes_since(self._last_change)
        with self._lock:
            for change, index, status in changes:
                self._statuses.set(index, status)
                self._last_change = change
        for _, index, status in changes:
            self._tell(index, status)
        # As old as the moment it was asked for, not as the moment it was read.
        self._read_at = began

    def _tell(self, index: int, status: int) -> None:
        if status != VALID:
            self._ended(index)

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(self._interval):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001  # a dead database must not end the thread: staleness refuses
                if not failing:
                    log_defect(error, "feed")
                failing = True
                continue
            if failing:
                log.info("feed_recovered")
            failing = False
