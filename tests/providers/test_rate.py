"""A holder's limits: never exceeded, never stricter than told, shared in parts; and what a 429 asks for."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from providers.model import Limits
from providers.rate import LONGEST_WAIT, UNTOLD_WAIT, Rate, part_of, strictest, told_to_wait

NOW = 1_790_000_000.0


class RateMachine(RuleBasedStateMachine):
    """Against a model that keeps every time there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.closed_until = 0.0, 0.0
        self.rate = Rate(Limits(requests=3, seconds=10))
        self.sent: list[float] = []

    def _may_send(self) -> bool:
        recent = [one for one in self.sent if one > self.now - 10]
        return self.now >= self.closed_until and len(recent) < 3

    @rule(seconds=st.integers(0, 12))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def one_asks(self) -> None:
        if self.rate.wait(self.now) == 0:
            self.rate.enter(self.now)
            self.sent.append(self.now)

    @rule(seconds=st.integers(1, 30))
    def the_holder_says_to_wait(self, seconds: int) -> None:
        self.rate.close(self.now, seconds)
        self.closed_until = max(self.closed_until, self.now + seconds)

    @rule()
    def one_comes_back_when_told(self) -> None:
        wait = self.rate.wait(self.now)
        self.now += wait
        # Told to wait for the limit, then for the holder: never more than twice.
        self.now += self.rate.wait(self.now)
        assert self.rate.wait(self.now) == 0

    @invariant()
    def the_same_may_be_sent(self) -> None:
        assert (self.rate.wait(self.now) == 0) == self._may_send()


RateMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_the_limit_lets_pass_what_its_model_does = RateMachine.TestCase


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_in_no_stretch_of_time_are_there_more_than_allowed(gaps: list[float], requests: int, seconds: int) -> None:
    rate, now, sent = Rate(Limits(requests=requests, seconds=seconds)), 0.0, []
    for gap in gaps:
        now += gap
        if rate.wait(now) == 0:
            rate.enter(now)
            sent.append(now)
    for began in sent:
        assert sum(began <= one < began + seconds for one in sent) <= requests


def test_a_holder_that_says_a_year_is_asked_again_after_an_hour() -> None:
    rate = Rate(Limits())
    rate.close(0.0, LONGEST_WAIT)
    assert (rate.wait(0.0), rate.wait(3_600.0)) == (3_600, 0)


def test_a_manifest_without_a_limit_is_only_closed_by_its_holder() -> None:
    rate = Rate(Limits())
    for _ in range(10_000):
        assert rate.wait(0.0) == 0
        rate.enter(0.0)
    rate.close(0.0, 7)
    assert (rate.wait(3.0), rate.wait(7.0)) == (4, 0)


@given(st.integers(1, 10_000), st.integers(1, 3600), st.integers(1, 64), st.integers(1, 4))
def test_the_parts_of_all_processes_are_never_more_than_the_whole(
    requests: int, seconds: int, workers: int, machines: int
) -> None:
    allowance = 1 / (workers * machines)
    part, time = part_of(Limits(requests=requests, seconds=seconds), allowance)
    assert part is not None
    assert part >= 1
    assert part / time * workers * machines <= requests / seconds * 1.000001


def test_of_limits_that_disagree_about_a_group_the_strictest_holds() -> None:
    limits = [Limits(), Limits(requests=50, seconds=60), Limits(requests=1, seconds=1), Limits(requests=70)]
    assert strictest(limits) == limits[1]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "999999"}, LONGEST_WAIT),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 42, UTC), usegmt=True)}, 42),
        ({"ratelimit-reset": str(int(NOW) + 33)}, 33),
        ({"ratelimit-reset": "12"}, 12),
        ({"ratelimit-reset": str(int(NOW) - 100)}, 1),
        ({"retry-after": "5", "ratelimit-reset": "50"}, 5),
        ({"retry-after": "soon", "ratelimit-reset": "50"}, 50),
        ({"retry-after": "-5"}, UNTOLD_WAIT),
        ({"retry-after": "1e9"}, UNTOLD_WAIT),
        ({"retry-after": "Thu, 99 Jan 99999 00:00:00 GMT"}, UNTOLD_WAIT),
        ({"retry-after": "²"}, UNTOLD_WAIT),
        ({}, UNTOLD_WAIT),
    ],
)
def test_a_holder_is_asked_again_when_it_said(headers: dict[str, str], seconds: float) -> None:
    assert told_to_wait(headers, NOW) == seconds


@given(st.text(max_size=64), st.text(max_size=64))
def test_whatever_a_holder_says_of_time_the_wait_is_bounded(after: str, reset: str) -> None:
    assert 1 <= told_to_wait({"retry-after": after, "ratelimit-reset": reset}, NOW) <= LONGEST_WAIT
