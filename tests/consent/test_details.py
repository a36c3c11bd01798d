import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from consent.details import MAX_LENGTH, from_claims, parse_details, schema_of, to_claims
from consent.errors import OAuthError
from consent.model import Detail
from openapi.rules import MAX_CUTS, MAX_RULES, Rule
from tests.consent.conftest import _p256
from tests.consent.world import FIELDS, NOW, OTHER_TOWN, TOWN, TYPES, FakeCatalogue, detail, make_client, refusal_alone

VALUE = "quotient_familial.valeur"
TRANCHE = {"name": "tranche", "rule": "bracket", "field": VALUE, "bounds": [500, 800]}
EVERY_RULE: list[dict[str, Any]] = [
    TRANCHE,
    {"name": "plafond", "rule": "at_most", "field": VALUE, "value": 1200},
    {"name": "plancher", "rule": "at_least", "field": VALUE, "value": -5},
    {"name": "a_une_adresse", "rule": "is_present", "field": "adresse.code_postal_ville"},
    {"name": "petits", "rule": "count", "field": "enfants.date_naissance", "under_years": 6},
]
CLIENT = make_client("portail-famille", _p256(), organisation=TOWN)


def parse(value: object) -> tuple[Detail, ...]:
    text = value if isinstance(value, str) else json.dumps(value)
    return parse_details(text, client=CLIENT, catalogue=FakeCatalogue(), now=NOW)


def test_a_request_in_order_is_read_whole() -> None:
    (read,) = parse([detail()])
    assert read == Detail(
        dataset="quotient_familial",
        fields=FIELDS[:2],
        purpose="tarification_creche",
        recipient=TOWN,
        access="recurring",
        expires_at=NOW + 90 * 86_400,
        retention="P90D",
    )


def test_what_is_not_said_is_the_least() -> None:
    (read,) = parse([detail(access=None, expires_at=None, retention=None)])
    assert (read.access, read.expires_at, read.retention) == ("once", None, None)


def test_several_datasets_keep_their_order() -> None:
    both = parse([detail(), detail(type="urn:accord:revenu_fiscal")])
    assert [one.dataset for one in both] == ["quotient_familial", "revenu_fiscal"]
    assert from_claims(to_claims(both)) == both


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"type": "urn:accord:casier_judiciaire"}, "type"),
        ({"type": "urn:other:quotient_familial"}, "type"),
        ({"type": ["urn:accord:quotient_familial"]}, "type"),
        ({"type": None}, "[0]"),
        ({"locations": ["https://elsewhere.example"]}, "[0]"),
        ({"max_per_day": 0}, "max_per_day"),
        ({"max_per_day": 51}, "max_per_day"),
        ({"max_per_day": True}, "max_per_day"),
        ({"datatypes": []}, "datatypes"),
        ({"datatypes": ["allocataires.salaire"]}, "datatypes"),
        ({"datatypes": [FIELDS[0], FIELDS[0]]}, "datatypes"),
        ({"datatypes": [{}]}, "datatypes"),
        ({"datatypes": FIELDS[0]}, "datatypes"),
        ({"purpose": "Tarif <b>"}, "purpose"),
        ({"purpose": "creche\n"}, "purpose"),
        ({"recipient": "73282932000075"}, "recipient"),
        ({"recipient": OTHER_TOWN}, "recipient"),
        ({"recipient": 73282932000074}, "recipient"),
        ({"access": "always"}, "access"),
        ({"access": []}, "access"),
        ({"expires_at": NOW}, "expires_at"),
        ({"expires_at": True}, "expires_at"),
        ({"expires_at": float(NOW + 60)}, "expires_at"),
        ({"expires_at": 10**18}, "expires_at"),
        ({"retention": "90 days"}, "retention"),
        ({"retention": "P0D"}, "retention"),
    ],
)
def test_anything_else_is_refused_by_its_name(members: dict[str, Any], named: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse([detail(**members)])
    assert refused.value.code == "invalid_authorization_details"
    assert refused.value.description.startswith(f"{named}: ")


def asking(*rules: object, **members: Any) -> dict[str, Any]:
    return detail(datatypes=[], derived=list(rules), **members)


def test_derived_answers_may_be_asked_for_without_any_field() -> None:
    (read,) = parse([asking(*EVERY_RULE)])
    assert read.fields == ()
    assert read.rules[0] == Rule("tranche", "bracket", VALUE, (500, 800))
    assert read.names == ("tranche", "plafond", "plancher", "a_une_adresse", "petits")
    assert [rule.to_claim() for rule in read.rules] == EVERY_RULE
    assert from_claims(to_claims([read])) == (read,)


def test_fields_and_derived_answers_may_be_asked_for_together() -> None:
    (read,) = parse([detail(datatypes=["quotient_familial.mois"], derived=[TRANCHE])])
    assert (read.fields, [rule.name for rule in read.rules]) == (("quotient_familial.mois",), ["tranche"])


def test_the_raw_field_cannot_be_asked_for_beside_an_answer_about_it() -> None:
    with pytest.raises(OAuthError, match="no rule over a field that is asked for itself"):
        parse([detail(datatypes=[VALUE], derived=[TRANCHE])])


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([], "derived"),
        ({}, "derived"),
        ([1], "rule"),
        ([{}], "rule"),
        ([TRANCHE | {"rule": "average"}], "rule"),
        ([TRANCHE | {"rule": ["bracket"]}], "rule"),
        ([TRANCHE | {"unit": "EUR"}], "derived"),
        ([{name: TRANCHE[name] for name in ("name", "rule", "field")}], "derived"),
        ([TRANCHE | {"rule": "at_most"}], "derived"),
        ([TRANCHE | {"name": "Tranche"}], "name"),
        ([TRANCHE | {"name": "t" * 33}], "name"),
        ([TRANCHE | {"name": "tranche\n"}], "name"),
        ([TRANCHE | {"name": 1}], "derived"),
        ([TRANCHE | {"field": "quotient_familial.secret"}], "field"),
        ([TRANCHE | {"field": "adresse.code_postal_ville"}], "field"),
        ([TRANCHE | {"field": ["a"]}], "derived"),
        ([TRANCHE | {"bounds": []}], "bounds"),
        ([TRANCHE | {"bounds": [800, 500]}], "bounds"),
        ([TRANCHE | {"bounds": [500, 500]}], "bounds"),
        ([TRANCHE | {"bounds": [1.5]}], "bounds"),
        ([TRANCHE | {"bounds": [True]}], "bounds"),
        ([TRANCHE | {"bounds": [10**9 + 1]}], "bounds"),
        ([TRANCHE | {"bounds": 500}], "bounds"),
        ([TRANCHE | {"bounds": list(range(MAX_CUTS + 1))}], "bounds"),
        ([TRANCHE, TRANCHE | {"bounds": [600]}], "derived"),
        ([{"name": "n", "rule": "at_most", "field": VALUE, "value": True}], "value"),
        ([{"name": "n", "rule": "at_most", "field": VALUE, "value": "500"}], "value"),
        ([{"name": "n", "rule": "count", "field": VALUE, "under_years": 6}], "field"),
        ([{"name": "n", "rule": "count", "field": "enfants.date_naissance", "under_years": 0}], "under_years"),
        ([{"name": "n", "rule": "is_present", "field": VALUE, "value": 1}], "derived"),
        ([TRANCHE | {"name": f"n{number}"} for number in range(MAX_RULES + 1)], "derived"),
    ],
)
def test_any_other_rule_is_refused_by_the_name_of_what_is_wrong(rules: Any, named: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse([detail(datatypes=[], derived=rules)])
    assert refused.value.code == "invalid_authorization_details"
    assert refused.value.description.startswith(f"{named}: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "null",
        "[" * 4000,
        '[{"type":' * 400,
        "[" + ",".join(["{}"] * 6) + "]",
        " " * (MAX_LENGTH + 1),
        '[{"type": "a", "type": "b"}]',
        '[{"expires_at": NaN}]',
        '[{"expires_at": ' + "9" * 4050 + "}]",
        '[{"type": "\\ud800"}]',
        json.dumps([detail(), detail()]),
    ],
)
def test_text_that_is_no_list_of_details_is_refused(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse(text)
    assert refused.value.code == "invalid_authorization_details"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*FIELDS, TOWN, "once"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(detail())) | st.text(), inner),
    max_leaves=12,
)
ALMOST = st.builds(
    lambda name, value: json.dumps([detail() | {name: value}]), st.sampled_from(list(detail())) | st.text(), JSON
)


@settings(max_examples=200)
@given(st.text() | JSON.map(json.dumps) | ALMOST)
def test_hostile_text_raises_the_declared_error_and_nothing_else(text: str) -> None:
    with refusal_alone("invalid_authorization_details"):
        read = parse(text)
        assert from_claims(to_claims(read)) == read
        assert all(one.recipient == TOWN and set(one.fields) <= set(FIELDS) for one in read)


_MANGLED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", "B", ""]),
        "rule": st.sampled_from(["bracket", "at_most", "at_least", "is_present", "count", "sum"]),
        "field": st.sampled_from([*TYPES, "unknown"]),
    },
    optional={
        "bounds": st.lists(st.integers(0, 9), max_size=3, unique=True).map(sorted),
        "value": st.integers() | st.booleans(),
        "under_years": st.integers(-1, 122),
    },
)
_WHOLE = st.sampled_from(EVERY_RULE)
_MEMBERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["urn:accord:quotient_familial", "urn:accord:other", 1]),
        "datatypes": st.lists(st.sampled_from([*FIELDS, "unknown"]), max_size=4) | st.none(),
        "purpose": st.sampled_from(["tarification_creche", "", "x" * 65, "à"]),
        "recipient": st.sampled_from([TOWN, "1", None]),
    },
    optional={
        "access": st.sampled_from(["once", "recurring", "twice"]),
        "max_per_day": st.integers(-1, 60),
        "retention": st.sampled_from(["P90D", "P0D", "90"]),
        "unknown": st.just(1),
        "derived": st.lists(_WHOLE | _MANGLED, max_size=2, unique_by=lambda rule: str(rule["name"])),
    },
)


@given(_MEMBERS)
@settings(max_examples=300)
def test_the_published_schema_accepts_what_the_parser_accepts_and_refuses_what_it_refuses(
    members: dict[str, Any],
) -> None:
    # What no schema says: openapi.rules.check_together.
    assume(not set(members["datatypes"] or ()) & {rule["field"] for rule in members.get("derived", ())})
    valid = Draft202012Validator(schema_of("quotient_familial", TYPES)).is_valid(members)
    try:
        parse([members])
    except OAuthError:
        assert not valid
    else:
        assert valid
