"""The breaker against a ten-line model, and what an operator counts on."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from providers.breaker import FAILURES, FIRST_REST, LONGEST_REST, Breaker


class _Model:
    """Ten lines: a list of failures in a row, a time until which it is open, and the one probe."""

    def __init__(self) -> None:
        self.row, self.until, self.rest, self.probe, self.era = 0, 0.0, FIRST_REST, False, 0
        self.is_open = False

    def may_pass(self, now: float) -> bool:
        return not self.is_open or (now >= self.until and not self.probe)

    def hear(self, era: int, *, failed: bool | None, now: float) -> None:
        if era != self.era:
            return
        self.probe = False
        if failed is None:
            return
        self.row = self.row + 1 if failed else 0
        if failed and (self.is_open or self.row >= FAILURES):
            self.rest = min(self.rest * 2, LONGEST_REST) if self.is_open else FIRST_REST
            self.is_open, self.until, self.era, self.row = True, now + self.rest, self.era + 1, 0
        elif not failed and self.is_open:
            self.is_open, self.era = False, self.era + 1


class BreakerMachine(RuleBasedStateMachine):
    """Questions enter and end in any order, late ones too, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.breaker, self.model = Breaker(), _Model()
        self.under_way: list[tuple[int, int]] = []

    @rule(seconds=st.sampled_from([0.1, 1.0, FIRST_REST - 0.5, FIRST_REST, LONGEST_REST]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_question_enters(self) -> None:
        if self.breaker.wait(self.now) > 0:
            return
        self.model.probe = self.model.is_open
        self.under_way.append((self.breaker.enter(), self.model.era))

    @rule(place=st.integers(0, 50), failed=st.sampled_from([True, True, False, None]))
    def one_ends(self, place: int, failed: bool | None) -> None:
        if self.under_way:
            self._end(self.under_way.pop(place % len(self.under_way)), failed=failed)

    @rule()
    def a_dead_holder_fails_whatever_is_asked(self) -> None:
        for one in self.under_way:
            self._end(one, failed=True)
        self.under_way.clear()

    def _end(self, eras: tuple[int, int], *, failed: bool | None) -> None:
        ours, models = eras
        if failed is None:
            self.breaker.left(ours)
        elif failed:
            self.breaker.failed(ours, self.now)
        else:
            self.breaker.succeeded(ours)
        self.model.hear(models, failed=failed, now=self.now)

    @invariant()
    def the_same_may_pass(self) -> None:
        assert (self.breaker.wait(self.now) <= 0) == self.model.may_pass(self.now)

    @invariant()
    def nobody_is_told_to_wait_for_longer_than_the_longest_rest(self) -> None:
        assert 0 <= self.breaker.wait(self.now) <= LONGEST_REST


BreakerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_the_breaker_lets_pass_what_its_model_does = BreakerMachine.TestCase


def _opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(breaker.enter(), at)
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row_and_says_so_once() -> None:
    breaker = Breaker()
    said = [breaker.failed(breaker.enter(), 0.0) for _ in range(FAILURES)]
    assert said == [False] * (FAILURES - 1) + [True]
    assert breaker.wait(0.0) == FIRST_REST


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(10 * FAILURES):
        breaker.failed(breaker.enter(), 0.0)
        breaker.succeeded(breaker.enter())
    assert breaker.wait(0.0) == 0


def test_one_probe_at_a_time_and_its_success_closes() -> None:
    breaker = _opened()
    assert breaker.wait(FIRST_REST) == 0
    probe = breaker.enter()
    assert breaker.wait(FIRST_REST) > 0
    assert breaker.succeeded(probe)
    assert breaker.wait(FIRST_REST) == 0


def test_each_probe_that_fails_doubles_the_rest_up_to_a_minute_and_a_success_makes_it_short_again() -> None:
    breaker, now, rests = _opened(), 0.0, []
    for _ in range(6):
        now += breaker.wait(now)
        breaker.failed(breaker.enter(), now)
        rests.append(breaker.wait(now))
    assert rests == [10, 20, 40, 60, 60, 60]
    breaker.succeeded(breaker.enter())
    for _ in range(FAILURES):
        breaker.failed(breaker.enter(), now)
    assert breaker.wait(now) == FIRST_REST


def test_a_probe_whose_caller_went_away_leaves_its_place_to_the_next() -> None:
    breaker = _opened()
    breaker.left(breaker.enter())
    assert breaker.wait(FIRST_REST) == 0


def test_answers_to_questions_from_before_it_opened_neither_open_nor_close_it() -> None:
    breaker = Breaker()
    old = [breaker.enter() for _ in range(40)]
    assert sum(breaker.failed(era, 0.0) for era in old[:-1]) == 1
    assert not breaker.succeeded(old[-1])
    assert breaker.wait(0.0) == FIRST_REST


def test_an_old_question_that_ends_without_a_word_does_not_let_a_second_probe_pass() -> None:
    breaker = Breaker()
    old = breaker.enter()
    for _ in range(FAILURES):
        breaker.failed(breaker.enter(), 0.0)
    breaker.enter()
    breaker.left(old)
    assert breaker.wait(FIRST_REST) > 0
