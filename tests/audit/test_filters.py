"""What an auditor may ask for, and in which words."""

from contextlib import suppress
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.auditors import Auditor
from audit.filters import GROUNDS, TERMS, Filter, names, narrowed
from openapi.problem import AccordError

TOWN, OTHER = "21990001600011", "73282932000074"
EVERYTHING = Auditor("a_1", "auditor", None)
OF_THE_TOWN = Auditor("a_2", "auditor", TOWN)
OPERATOR = Auditor("a_3", "operator", None)
# Unix seconds: 31 October 2026 begins in Paris (UTC+1 since the 25th), and 1 November ends.
BEGINS, ENDS = 1_793_401_200, 1_793_574_000


def refused(given: dict[str, str]) -> tuple[str, object]:
    with pytest.raises(AccordError) as caught:
        Filter.parse(given)
    return caught.value.slug, caught.value.facts.get("field")


def test_a_period_of_days_is_of_paris_and_holds_both_days() -> None:
    asked = Filter.parse({"since": "2026-10-31", "until": "2026-11-01"})
    assert asked.period == (BEGINS, ENDS)
    assert (asked.wanted().since, asked.wanted().until) == (BEGINS, ENDS)


def test_a_period_of_moments_ends_before_the_second() -> None:
    assert Filter.parse({"since": "2026-10-30T23:00:00Z", "until": "2026-11-01T23:00:00Z"}).period == (BEGINS, ENDS)


def test_every_filter_is_looked_for_under_the_name_that_entries_have() -> None:
    given = dict.fromkeys(TERMS, "x") | {"organisation": TOWN, "delegate": OTHER}
    terms = Filter.parse(given).wanted().terms
    assert terms["recipient"] == TOWN
    assert terms["delegate"] == OTHER
    assert terms["client"] == terms["dataset"] == terms["field"] == terms["legal_basis"] == "x"


@pytest.mark.parametrize("parameter", ["citizen", "grant"])
def test_a_person_is_looked_up_on_a_stated_ground_alone(parameter: str) -> None:
    assert refused({parameter: "p"})[0] == "audit_ground_missing"
    assert refused({parameter: "p", "ground": "complaint"})[0] == "audit_ground_missing"
    assert Filter.parse({parameter: "p", "ground": "complaint", "case": "2026-17"}).is_personal


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("organisation", "123"),
        ("organisation", TOWN[:-1] + "2"),
        ("since", "2026-13-01"),
        ("since", "yesterday"),
        ("until", "1970-01-01"),
        ("until", "9999-12-31"),
        ("ground", "curiosity"),
        ("case", "Anne Martin"),
        ("purpose", "a b"),
        ("dataset", "é"),
        ("client", "x" * 121),
    ],
)
def test_what_is_malformed_is_refused_by_its_name(parameter: str, value: str) -> None:
    if parameter == "client":
        parameter = "application"
    assert refused({parameter: value}) == ("request_malformed", parameter)


def test_a_period_does_not_end_before_it_begins() -> None:
    assert refused({"since": "2026-11-02", "until": "2026-11-01"}) == ("request_malformed", "until")


def test_an_entry_says_what_was_asked_but_not_whom() -> None:
    given = {"dataset": "d", "citizen": "p", "grant": "g", "ground": GROUNDS[0], "case": "7"}
    assert Filter.parse(given).public == {"dataset": "d"}
    assert Filter.parse(given).given == given


def test_an_auditor_of_one_organisation_sees_that_one_alone() -> None:
    assert narrowed(Filter(), OF_THE_TOWN).organisation == TOWN
    assert narrowed(Filter(organisation=TOWN), OF_THE_TOWN).organisation == TOWN
    with pytest.raises(AccordError, match="auditor_not_allowed"):
        narrowed(Filter(organisation=OTHER), OF_THE_TOWN)
    assert narrowed(Filter(organisation=OTHER), EVERYTHING).organisation == OTHER


@pytest.mark.parametrize("parameter", ["citizen", "grant"])
def test_an_operator_looks_nobody_up(parameter: str) -> None:
    asked = Filter.parse({parameter: "p", "ground": "incident", "case": "7"})
    with pytest.raises(AccordError, match="auditor_not_allowed"):
        narrowed(asked, OPERATOR)


@given(st.dictionaries(st.sampled_from(names()), st.text(max_size=130), max_size=5))
def test_no_parameters_do_worse_than_being_refused(given):
    with suppress(AccordError):
        Filter.parse(given)


@given(
    st.dictionaries(
        st.sampled_from(["dataset", "purpose", "application", "outcome", "request_id"]),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=120),
    )
)
def test_a_saved_search_is_its_url(given):
    asked = Filter.parse(given)
    assert Filter.parse(dict(parse_qsl(urlencode(asked.given)))) == asked
