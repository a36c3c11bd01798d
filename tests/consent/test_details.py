import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from consent.details import MAX_LENGTH, from_claims, parse_details, schema_of, to_claims
from consent.errors import OAuthError
from consent.model import Detail
from tests.consent.conftest import _p256
from tests.consent.world import FIELDS, NOW, OTHER_TOWN, TOWN, FakeCatalogue, detail, make_client, refusal_alone

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


_MEMBERS = st.fixed_dictionaries(
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
    },
)


@given(_MEMBERS)
@settings(max_examples=300)
def test_the_published_schema_accepts_what_the_parser_accepts_and_refuses_what_it_refuses(
    members: dict[str, Any],
) -> None:
    valid = Draft202012Validator(schema_of("quotient_familial", FIELDS)).is_valid(members)
    try:
        parse([members])
    except OAuthError:
        assert not valid
    else:
        assert valid
