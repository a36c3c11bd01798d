"""Whether what keeps failing is asked at all: closed, open, half-open. Pure: the time is an argument.

Closed, failures that no success separates are counted; the fifth opens it. Open, nothing passes until a rest is over;
then one question at a time is a probe. A success closes it, a failed probe doubles the rest. An outcome counts in the
era in which its question was asked: the answers to old questions neither open nor close anything.
"""

FAILURES = 5
"""In a row."""
FIRST_REST = 5.0
LONGEST_REST = 60.0
"""Seconds."""
PROBE_WAIT = 1.0
"""Seconds others are told to wait while a probe is under way; it ends with the deadline of its call."""


class Breaker:
    """The state of one thing that is asked. Its event loop alone may touch it."""

    __slots__ = ("_era", "_failures", "_open_until", "_probing", "_rest")

    def __init__(self) -> None:
        self._failures = 0
        self._rest = FIRST_REST
        self._open_until: float | None = None
        """None: closed."""
        self._probing = False
        self._era = 0

    @property
    def rest(self) -> float:
        """Seconds of the rest under way, or of the next."""
        return self._rest

    def wait(self, now: float) -> float:
        """Seconds until a question may pass; 0 is now."""
        if self._open_until is None:
            return 0.0
        left = self._open_until - now
        if left > 0:
            return left
        return PROBE_WAIT if self._probing else 0.0

    def enter(self) -> int:
        """A question passes, as :meth:`wait` said it may. Its outcome is told with the era that is returned."""
        self._probing = self._open_until is not None
        return self._era

    def succeeded(self, era: int) -> bool:
        """An answer; whether it closed what was open."""
        if era != self._era:
            return False
        self._failures = 0
        if self._open_until is None:
            return False
        self._turn(None)
        self._rest = FIRST_REST
        return True

    def failed(self, era: int, now: float) -> bool:
        """No answer, or one that is none; whether it opened."""
        if era != self._era:
            return False
        if self._open_until is None:
            self._failures += 1
            if self._failures < FAILURES:
                return False
        else:
            self._rest = min(2 * self._rest, LONGEST_REST)
        self._turn(now + self._rest)
        return True

    def left(self, era: int) -> None:
        """It ended without a word on the matter: whoever comes next is the probe."""
        if era == self._era:
            self._probing = False

    def _turn(self, open_until: float | None) -> None:
        self._open_until = open_until
        self._failures = 0
        self._probing = False
        self._era += 1
