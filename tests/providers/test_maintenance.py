"""Announced absences: in the time of Paris, over midnight, over the nights when the clocks change."""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.maintenance import PARIS, away_for
from providers.model import Window

_ALL = frozenset(range(7))
_NIGHT = Window(_ALL, time(22), time(5, 30))


def _unix(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("windows", "moment", "seconds"),
    [
        ((), "2026-11-25T12:00", 0),
        ((Window(_ALL, time(12), time(13)),), "2026-11-25T11:59:59", 0),
        ((Window(_ALL, time(12), time(13)),), "2026-11-25T12:00", 3600),
        ((Window(_ALL, time(12), time(13)),), "2026-11-25T12:59:59", 1),
        ((Window(_ALL, time(12), time(13)),), "2026-11-25T13:00", 0),
        ((_NIGHT,), "2026-11-25T23:30", 6 * 3600),
        ((_NIGHT,), "2026-11-26T05:00", 1800),
        ((_NIGHT,), "2026-11-26T05:30", 0),
        # Wednesday's night is over on Thursday morning; Thursday has none.
        ((Window(frozenset({2}), time(22), time(5)),), "2026-11-26T04:00", 3600),
        ((Window(frozenset({2}), time(22), time(5)),), "2026-11-26T23:00", 0),
        ((Window(frozenset({6}), time(22), time(5)),), "2026-11-30T04:00", 3600),
        # One window follows another: the holder is back at the end of the last.
        ((Window(_ALL, time(22), time(0)), Window(_ALL, time(0), time(1))), "2026-11-25T23:00", 2 * 3600),
        # A whole day, from one midnight to the next.
        ((Window(frozenset({2}), time(0), time(0)),), "2026-11-25T06:00", 18 * 3600),
        # The night of 28 to 29 March 2026 is an hour short, that of 24 to 25 October an hour long.
        ((_NIGHT,), "2026-03-28T23:30", 5 * 3600),
        ((_NIGHT,), "2026-10-24T23:30", 7 * 3600),
    ],
)
def test_the_holder_is_back_at_the_end_of_its_window(windows: tuple[Window, ...], moment: str, seconds: int) -> None:
    assert away_for(windows, _unix(moment)) == seconds


def test_an_hour_that_comes_twice_is_away_twice() -> None:
    window = (Window(_ALL, time(2), time(2, 45)),)
    assert away_for(window, _unix("2026-10-25T02:15", fold=0)) == 30 * 60
    assert away_for(window, _unix("2026-10-25T02:15", fold=1)) == 30 * 60
    assert away_for(window, _unix("2026-10-25T02:50", fold=0)) == 0


def test_windows_that_never_end_still_give_a_time_to_come_back() -> None:
    seconds = away_for((Window(_ALL, time(0), time(0)),), _unix("2026-11-25T12:00"))
    assert 7 * 86_400 <= seconds <= 9 * 86_400


_TIMES = st.times().map(lambda one: one.replace(minute=one.minute // 15 * 15, second=0, microsecond=0))
_WINDOWS = st.lists(st.builds(Window, st.frozensets(st.integers(0, 6), min_size=1), _TIMES, _TIMES), max_size=3)


def _is_away(windows: list[Window], moment: datetime) -> bool:
    """The model: the stretches of this day and of the day before."""
    for one in windows:
        for back in (0, 1):
            day = (moment - timedelta(days=back)).date()
            start = datetime.combine(day, one.start)
            until = datetime.combine(day + timedelta(days=one.until <= one.start), one.until)
            if day.weekday() in one.days and start <= moment < until:
                return True
    return False


@given(_WINDOWS, st.integers(0, 7 * 96 - 1))
def test_at_any_moment_the_answer_is_that_of_a_walk_through_the_week(windows: list[Window], quarter: int) -> None:
    # A week in which no clock changes, so that the model can count.
    moment = datetime(2026, 11, 23) + timedelta(minutes=15 * quarter + 7)  # noqa: DTZ001  # the clock on the wall
    back, step = moment, moment
    while _is_away(windows, back) and back - moment < timedelta(days=8):
        step += timedelta(minutes=15)
        back = step.replace(minute=step.minute // 15 * 15)
    seconds = away_for(windows, moment.replace(tzinfo=PARIS).timestamp())
    if back - moment < timedelta(days=8):
        assert seconds == (back - moment).total_seconds()
    else:
        assert seconds >= timedelta(days=8).total_seconds()
