"""How often an application may ask through a drop-in door: windows of a fixed length, as the State's APIs count them.

Counted in each process, in memory. Applications are counted once they were recognised, so that there are never more
counts than the registry has applications; whoever else is counted shares one count with the others beyond so many.
"""

from dataclasses import dataclass, replace

MOST_KEYS = 10_000
"""Counts of one window; those who come later share one."""

_OTHERS = ""


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
        return self._usage(key, now, more=1)

    def next(self, key: str, *, now: float) -> Usage:
        """What one more request of ``key`` would come to, not counted."""
        usage = self._usage(key, now, more=0)
        return replace(usage, used=usage.used + 1)

    def _usage(self, key: str, now: float, *, more: int) -> Usage:
        window = int(now) // self._limit.seconds
        if window != self._window:
            self._window, self._counts = window, {}
        if key not in self._counts and len(self._counts) >= MOST_KEYS:
            key = _OTHERS
        used = self._counts.get(key, 0) + more
        if more:
            self._counts[key] = used
        return Usage(self._limit.requests, used, (window + 1) * self._limit.seconds)
