"""How often an application may ask through a drop-in door: windows of a fixed length, as the State's APIs count them.

Counted in each process, in memory. Only applications that were recognised are counted, so that there are never more
counts than there are applications in the registry.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """``requests`` in each window of ``seconds``."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used of a window. ``reset``: the Unix time at which the next begins."""

    limit: int
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        """Requests left."""
        return max(0, self.limit - self.used)

    @property
    def is_over(self) -> bool:
        """Whether this request is one too many."""
        return self.used > self.limit

    @property
    def is_first_over(self) -> bool:
        """Whether it is the first of its window that is: the one that the log tells of."""
        return self.used == self.limit + 1

    def retry_in(self, now: float) -> int:
        """Whole seconds until the next window, at least one."""
        return max(1, self.reset - int(now))


class Limiter:
    """Counts by key. Owned by one event loop, which is what guards it; holds the counts of one window only."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window = 0
        self._counts: dict[str, int] = {}

    def count(self, key: str, *, now: float) -> Usage:
        """Count one request of ``key`` at ``now`` (Unix seconds)."""
        window = int(now) // self._limit.seconds
        if window != self._window:
            self._window, self._counts = window, {}
        used = self._counts[key] = self._counts.get(key, 0) + 1
        return Usage(self._limit.requests, used, (window + 1) * self._limit.seconds)
