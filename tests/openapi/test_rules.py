"""Rules as values: canonical, bounded, and the same in every form they take."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.fields import InvalidValue
from openapi.rules import (
    LARGEST,
    MAX_CUTS,
    MAX_RULES,
    OLDEST,
    Rule,
    check_together,
    rule_from_claim,
    rule_from_text,
    sources,
)

_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
_FIELDS = st.from_regex(r"[a-zA-Z0-9_]{1,20}(\.[a-zA-Z0-9_]{1,20}){0,2}", fullmatch=True)
_FIGURES = st.integers(-LARGEST, LARGEST)
RULES = st.one_of(
    st.builds(
        lambda name, field, bounds: Rule(name, "bracket", field, tuple(sorted(bounds))),
        _NAMES,
        _FIELDS,
        st.sets(_FIGURES, min_size=1, max_size=MAX_CUTS),
    ),
    st.builds(
        lambda name, kind, field, value: Rule(name, kind, field, (value,)),
        _NAMES,
        st.sampled_from(["at_most", "at_least"]),
        _FIELDS,
        _FIGURES,
    ),
    st.builds(lambda name, field: Rule(name, "is_present", field), _NAMES, _FIELDS),
    st.builds(lambda name, field, age: Rule(name, "count", field, (age,)), _NAMES, _FIELDS, st.integers(1, OLDEST)),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["bracket", "count"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "rule", "field", "bounds", "value", "under_years"]), inner)
    ),
    max_leaves=10,
)


@given(RULES)
def test_claim_and_text_have_their_inverses_and_the_text_is_ascii(rule: Rule) -> None:
    assert rule_from_claim(rule.to_claim()) == rule
    assert rule_from_text(rule.text) == rule
    assert rule.text.isascii()


@given(RULES, RULES)
def test_equal_texts_are_equal_rules(one: Rule, other: Rule) -> None:
    assert (one.text == other.text) == (one == other)


def test_the_text_says_the_whole_rule() -> None:
    rule = Rule("tranche", "bracket", "quotient_familial.valeur", (500, 800))
    assert rule.text == "tranche=bracket(quotient_familial.valeur,500,800)"
    assert Rule("a", "is_present", "b").text == "a=is_present(b)"


@given(_JSON)
def test_hostile_json_raises_the_declared_error_and_nothing_else(claim: object) -> None:
    with contextlib.suppress(InvalidValue):
        rule_from_claim(claim)


@given(st.text() | RULES.map(lambda rule: rule.text + "\n") | RULES.map(lambda rule: rule.text[:-1]))
def test_hostile_text_raises_the_declared_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(InvalidValue):
        assert rule_from_text(text).text == text


def _refused(*rules: Rule, fields: tuple[str, ...] = ()) -> str:
    with pytest.raises(InvalidValue) as refused:
        check_together(rules, fields)
    return refused.value.expected


def test_many_narrow_rules_over_one_field_are_refused_together() -> None:
    narrow = [Rule(f"n{at}", "bracket", "f", tuple(range(at * 2, at * 2 + 2))) for at in range(MAX_RULES)]
    assert len({number for rule in narrow for number in rule.numbers}) > MAX_CUTS
    assert "over one field" in _refused(*narrow)
    check_together(narrow[: MAX_CUTS // 2], ())
    check_together([Rule(f"n{at}", "bracket", f"f{at}", (at, at + 1)) for at in range(MAX_RULES)], ())


def test_at_most_and_at_least_of_one_number_tell_three_things_apart_and_count_twice() -> None:
    bounds = tuple(range(0, 11 * 100, 100))
    both = [Rule("a", "at_most", "f", (500,)), Rule("b", "at_least", "f", (500,))]
    check_together([Rule("c", "bracket", "f", bounds), both[0]], ())
    check_together([Rule("c", "bracket", "f", bounds), both[1]], ())
    check_together([Rule("c", "bracket", "f", bounds), *both], ())
    assert "over one field" in _refused(Rule("c", "bracket", "f", (*bounds, 1_100)), both[0])


def test_too_many_rules_a_name_twice_and_a_field_that_leaves_itself_are_refused() -> None:
    assert "at most" in _refused(*(Rule(f"n{at}", "is_present", "f") for at in range(MAX_RULES + 1)))
    assert "name" in _refused(Rule("n", "is_present", "f"), Rule("n", "is_present", "g"))
    assert "asked for itself" in _refused(Rule("n", "is_present", "f"), fields=("f",))


def test_sources_are_the_fields_each_once() -> None:
    assert sources([Rule("a", "is_present", "f"), Rule("b", "is_present", "g"), Rule("c", "is_present", "f")]) == (
        "f",
        "g",
    )
