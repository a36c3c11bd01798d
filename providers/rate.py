"""How often a holder may be asked: never more than its manifest allows, and not at all while it said to wait. Pure.

Exact, not a bucket: in no stretch of ``seconds`` are there more than ``requests``. Times are seconds of one clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from providers.model import Limits

UNTOLD_WAIT = 60.0
"""Seconds to wait when the holder refuses without saying how long."""
LONGEST_WAIT = 86_400.0
"""What a caller is told at most."""
LONGEST_CLOSED = 3_600.0
"""A holder that said longer is asked again after an hour: it may have been wrong."""

_LONGEST_NUMBER = 12
_UNIX_TIMES = 1_000_000_000
"""``RateLimit-Reset`` above it is a Unix time, as API Particulier sends; below it, seconds to wait (IETF draft)."""


class Rate:
    """What is left of one limit, shared by the datasets of a group. Its event loop alone may touch it."""

    __slots__ = ("_closed_until", "_requests", "_seconds", "_sent")

    def __init__(self, limits: Limits, *, allowance: float = 1.0) -> None:
        """``allowance``: the part of the limit that this process may use; above 1 where the holder grants more."""
        self._requests, self._seconds = part_of(limits, allowance)
        self._sent: deque[float] = deque(maxlen=self._requests)
        """The last ``requests`` times: the first of them says whether there is room."""
        self._closed_until = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next question may be sent; 0 is now."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._requests is None or len(self._sent) < self._requests:
            return 0.0
        return max(0.0, self._sent[0] + self._seconds - now)

    def enter(self, now: float) -> None:
        """A question is sent."""
        if self._requests is not None:
            self._sent.append(now)

    def close(self, now: float, seconds: float) -> None:
        """The holder said to wait."""
        self._closed_until = max(self._closed_until, now + min(seconds, LONGEST_CLOSED))


def strictest(limits: Iterable[Limits]) -> Limits:
    """Of several that speak of one group, the one that allows least."""
    return min(limits, key=lambda one: float("inf") if one.requests is None else one.requests / one.seconds)


def part_of(limits: Limits, allowance: float) -> tuple[int | None, float]:
    """What one process may send, and in how many seconds: where its part is below one, one in a longer time."""
    if limits.requests is None:
        return None, float(limits.seconds)
    part = limits.requests * allowance
    return (int(part), float(limits.seconds)) if part >= 1 else (1, limits.seconds / part)


def told_to_wait(headers: Mapping[str, str], now: float) -> float:
    """Seconds by ``Retry-After`` (RFC 9110 section 10.2.3) or ``RateLimit-Reset``; ``now`` is a Unix time."""
    after, reset = headers.get("retry-after", ""), headers.get("ratelimit-reset", "")
    for seconds in (_number(after), _until_date(after, now), _until_reset(reset, now)):
        if seconds is not None:
            return min(max(1.0, seconds), LONGEST_WAIT)
    return UNTOLD_WAIT


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


def _until_date(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _until_reset(text: str, now: float) -> float | None:
    number = _number(text)
    return number - now if number is not None and number > _UNIX_TIMES else number
