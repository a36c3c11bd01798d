"""When a holder is known to be away: the windows of a manifest, in the time of Paris. Pure.

A window is read off the clock on the wall: on the nights when summer time begins or ends it lasts an hour less or more,
as the holder's own does.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from providers.model import Window

PARIS = ZoneInfo("Europe/Paris")
LONGEST = timedelta(days=8)
"""Windows that follow one another for longer are all week."""

_DAY = timedelta(days=1)


def away_for(windows: Sequence[Window], now: float) -> int:
    """Whole seconds until the holder is back, at least 1; 0 when it is there. ``now`` is a Unix time."""
    began = datetime.fromtimestamp(now, PARIS)
    moment = began
    while moment - began < LONGEST and (ends := [end for one in windows if (end := _end(one, moment)) is not None]):
        moment = max(ends)
    if moment is began:
        return 0
    return max(1, int(-(-(moment.timestamp() - now) // 1)))


def _end(window: Window, moment: datetime) -> datetime | None:
    """The end of the window that ``moment`` is in, if it is in it."""
    clock, day = moment.time(), moment.date()
    overnight = window.until <= window.start
    if moment.weekday() in window.days and clock >= window.start and (overnight or clock < window.until):
        return _at(moment, datetime.combine(day + _DAY if overnight else day, window.until))
    if overnight and (moment.weekday() - 1) % 7 in window.days and clock < window.until:
        return _at(moment, datetime.combine(day, window.until))
    return None


def _at(moment: datetime, wall: datetime) -> datetime:
    """The first time after ``moment`` that the clocks of Paris show ``wall``, moved on where they skip it."""
    first, second = (wall.replace(tzinfo=PARIS, fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first if first > moment else second).astimezone(PARIS)
