"""What rules answer: every boundary, every unknown, and never a 0 that the holder did not say."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.rules import Rule
from providers.derived import derive, not_computable
from tests.openapi.test_rules import RULES

NOON = int(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp())
TRANCHE = Rule("r", "bracket", "q.valeur", (0, 500, 800))
BIRTHS = Rule("r", "count", "enfants.date_naissance", (6,))


def answer(rule: Rule, record: object, *, at: int = NOON) -> Any:
    given: Any = record
    return derive([rule], given, at=at)["r"].to_json()


def value(rule: Rule, record: object, *, at: int = NOON) -> Any:
    told = answer(rule, record, at=at)
    assert told["computable"], told
    return told["value"]


def reason(rule: Rule, record: object, *, at: int = NOON) -> str:
    told = answer(rule, record, at=at)
    assert told == {"computable": False, "value": None, "reason": told["reason"]}
    return str(told["reason"])


def born(*dates: object) -> dict[str, object]:
    return {"enfants": [{"date_naissance": one} for one in dates]}


@pytest.mark.parametrize(
    ("valeur", "bracket"),
    [
        (-1, {"below": 0}),
        (0, {"from": 0, "below": 500}),
        (499, {"from": 0, "below": 500}),
        (499.99, {"from": 0, "below": 500}),
        (500, {"from": 500, "below": 800}),
        (799, {"from": 500, "below": 800}),
        (800, {"from": 800}),
        (10**30, {"from": 800}),
    ],
)
def test_a_bracket_begins_at_its_bound_and_ends_below_the_next(valeur: float, bracket: dict[str, int]) -> None:
    assert value(TRANCHE, {"q": {"valeur": valeur}}) == bracket


@given(st.sets(st.integers(-50, 50), min_size=1, max_size=12), st.integers(-60, 60))
def test_every_number_is_in_the_one_bracket_that_is_told(bounds: set[int], number: int) -> None:
    told = value(Rule("r", "bracket", "n", tuple(sorted(bounds))), {"n": number})
    assert told.get("from", -100) <= number < told.get("below", 100)
    edges = [-100, *sorted(bounds), 100]
    assert (told.get("from", -100), told.get("below", 100)) in list(pairwise(edges))


@pytest.mark.parametrize(("valeur", "most", "least"), [(799, True, False), (800, True, True), (801, False, True)])
def test_a_threshold_holds_at_its_own_number(valeur: int, most: bool, least: bool) -> None:
    record = {"q": {"valeur": valeur}}
    assert value(Rule("r", "at_most", "q.valeur", (800,)), record) is most
    assert value(Rule("r", "at_least", "q.valeur", (800,)), record) is least


@pytest.mark.parametrize(
    "rule", [TRANCHE, Rule("r", "at_most", "q.valeur", (0,)), Rule("r", "at_least", "q.valeur", (0,))]
)
@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({}, "missing"),
        ({"q": None}, "missing"),
        ({"q": {}}, "missing"),
        ({"q": {"valeur": None}}, "missing"),
        ({"q": []}, "missing"),
        ({"q": 3}, "missing"),
        ({"q": [{"valeur": 1}, {"valeur": 2}]}, "several_values"),
        ({"q": {"valeur": True}}, "unreadable"),
        ({"q": {"valeur": "0"}}, "unreadable"),
        ({"q": {"valeur": float("nan")}}, "unreadable"),
        ({"q": {"valeur": float("inf")}}, "unreadable"),
    ],
)
def test_no_number_is_no_answer_and_never_zero(rule: Rule, record: object, why: str) -> None:
    assert reason(rule, record) == why


@pytest.mark.parametrize(
    ("record", "present"),
    [
        ({"q": {"valeur": 0}}, True),
        ({"q": {"valeur": False}}, True),
        ({"q": [{"valeur": None}, {"valeur": "x"}]}, True),
        ({"q": {"valeur": ""}}, False),
        ({"q": {"valeur": None}}, False),
        ({"q": []}, False),
        ({}, False),
    ],
)
def test_presence_is_a_value_that_is_there(record: object, present: bool) -> None:
    assert value(Rule("r", "is_present", "q.valeur"), record) is present


@pytest.mark.parametrize(
    ("births", "count"),
    [
        ([], 0),
        (["2020-11-25"], 0),  # six today
        (["2020-11-26"], 1),  # six tomorrow
        (["2026-11-25"], 1),  # born today
        (["1990-01-01", "2021-06-01", "2025-12-31"], 2),
        (["2021-00-00"], 1),  # at most five, whenever in the year
        (["2019-00-00"], 0),
        (["2020-12-00"], 1),
        (["2020-10-00"], 0),
        (["2021-00-15"], 1),
        (["2026-00-00"], 1),  # not born later than today
    ],
)
def test_ages_are_counted_to_the_day(births: list[str], count: int) -> None:
    assert value(BIRTHS, born(*births)) == count


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({}, "missing"),
        ({"enfants": None}, "missing"),
        (born("2021-01-01", None), "missing"),
        (born("2021-01-01", ""), "missing"),
        ({"enfants": [{}]}, "missing"),
        (born("2020-00-00"), "date_incomplete"),
        (born("2020-11-00"), "date_incomplete"),
        (born("2021-01-01", "2020-00-00"), "date_incomplete"),
        (born("0000-00-00"), "date_incomplete"),
        (born("2021-02-30"), "unreadable"),
        (born("2027-01-01"), "unreadable"),
        (born("25/11/2020"), "unreadable"),
        (born("2020-11-25T00:00:00"), "unreadable"),
        (born("2020-11-25\n"), "unreadable"),
        (born(20201125), "unreadable"),
        (born({}), "unreadable"),
    ],
)
def test_a_child_whose_age_is_not_known_makes_no_count(record: object, why: str) -> None:
    assert reason(BIRTHS, record) == why


def test_the_day_is_that_of_paris() -> None:
    before = int(datetime(2026, 11, 25, 22, 59, 59, tzinfo=UTC).timestamp())
    assert value(BIRTHS, born("2020-11-26"), at=before) == 1
    assert value(BIRTHS, born("2020-11-26"), at=before + 1) == 0
    summer = int(datetime(2026, 7, 1, 22, tzinfo=UTC).timestamp())
    assert value(BIRTHS, born("2020-07-02"), at=summer) == 0


def test_who_was_born_on_29_february_grows_older_on_1_march() -> None:
    last, first = (int(datetime(2026, *day, 12, tzinfo=UTC).timestamp()) for day in ((2, 28), (3, 1)))
    assert (value(BIRTHS, born("2020-02-29"), at=last), value(BIRTHS, born("2020-02-29"), at=first)) == (1, 0)


@given(st.dates(date(1900, 1, 1), date(2026, 11, 25)), st.integers(1, 120))
def test_an_age_agrees_with_counting_birthdays(birth: date, years: int) -> None:
    today = date(2026, 11, 25)
    age = today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))
    rule = Rule("r", "count", "enfants.date_naissance", (years,))
    assert value(rule, born(birth.isoformat())) == int(age < years)


@given(st.dates(date(1900, 1, 1), date(2026, 11, 25)), st.integers(1, 120), st.booleans())
def test_an_incomplete_date_is_counted_only_as_every_day_it_may_mean_is(
    birth: date, years: int, month_known: bool
) -> None:
    rule = Rule("r", "count", "enfants.date_naissance", (years,))
    known = birth.isoformat()[: 7 if month_known else 4]
    incomplete = answer(rule, born((known + "-00-00")[:10]))
    if incomplete["computable"]:
        assert incomplete == answer(rule, born(birth.isoformat()))
    else:
        assert incomplete["reason"] == "date_incomplete"


_RECORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=12,
)


@given(RULES, st.sampled_from(["a", "b", "a.b", "a.a.b"]), st.dictionaries(st.sampled_from("ab"), _RECORDS))
def test_every_rule_answers_every_record_and_repeats_nothing_of_it(
    rule: Rule, field: str, record: dict[str, object]
) -> None:
    rule = Rule(rule.name, rule.kind, field, rule.numbers)
    told = derive([rule], record, at=NOON)[rule.name]
    assert repr(told) == "DerivedAnswer(...)"
    said = told.to_json()
    assert said.keys() <= {"computable", "value", "reason"}
    answered: Any = said["value"]
    if not said["computable"]:
        assert answered is None
    elif rule.kind == "bracket":
        assert set(answered.values()) <= set(rule.numbers)
    else:
        assert type(answered) is (int if rule.kind == "count" else bool)


def test_where_the_holder_cannot_compute_every_answer_is_that_there_is_none() -> None:
    told = not_computable([TRANCHE], "not_computable_by_holder")
    assert told["r"].to_json() == {"computable": False, "value": None, "reason": "not_computable_by_holder"}
