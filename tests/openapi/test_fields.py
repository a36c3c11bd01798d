"""Value types: what they accept, and that they never repeat what they refuse."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.fields import InvalidValue, PivotIdentity, cog_code, siret

_CLAIMS = {
    "family_name": "Canari",
    "given_name": "Zoé Ange",
    "given_name_array": ["Zoé", "Ange"],
    "gender": "female",
    "birthdate": "1980-02-29",
    "birthplace": "75056",
    "birthcountry": "99100",
}


def test_a_siret_needs_its_luhn_key() -> None:
    assert siret("73282932000074") == "73282932000074"
    with pytest.raises(InvalidValue):
        siret("73282932000075")


@given(st.one_of(st.text(max_size=20), st.integers(), st.none(), st.lists(st.text(max_size=3), max_size=3)))
def test_hostile_values_raise_the_one_declared_error(value: object) -> None:
    for make in (lambda: siret(value), lambda: cog_code(value, field="birthplace")):
        with suppress(InvalidValue):
            make()


def test_a_refused_value_is_not_repeated() -> None:
    with pytest.raises(InvalidValue) as caught:
        siret("CANARI CANARI!")
    assert "CANARI" not in str(caught.value)


def test_a_pivot_identity_goes_to_claims_and_back() -> None:
    identity = PivotIdentity.from_claims(_CLAIMS)
    assert PivotIdentity.from_claims(identity.to_claims()) == identity


def test_a_person_born_abroad_has_no_birthplace() -> None:
    claims = {key: value for key, value in _CLAIMS.items() if key != "birthplace"} | {"birthcountry": "99109"}
    assert PivotIdentity.from_claims(claims).birthplace is None


@pytest.mark.parametrize("birthdate", ["1980-00-00", "1980-05-00", "1980-12-31"])
def test_an_incomplete_birthdate_is_kept_as_franceconnect_sends_it(birthdate: str) -> None:
    identity = PivotIdentity.from_claims(_CLAIMS | {"birthdate": birthdate})
    assert identity.to_claims()["birthdate"] == birthdate


@pytest.mark.parametrize("birthdate", ["1980-13-01", "80-01-01", "1980/01/01", 19800101])
def test_a_birthdate_of_another_form_is_refused_without_being_repeated(birthdate: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        PivotIdentity.from_claims(_CLAIMS | {"birthdate": birthdate})
    assert caught.value.field == "birthdate"


def test_an_identity_does_not_show_itself() -> None:
    assert "Canari" not in repr(PivotIdentity.from_claims(_CLAIMS))
