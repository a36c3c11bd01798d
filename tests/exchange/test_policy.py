"""The policy never permits with one condition removed."""

from dataclasses import replace

import pytest

from consent.model import Client, Detail
from exchange.model import Asked, ConsentToken, Habilitation, Permit, Refusal, Registry
from exchange.policy import decide
from openapi.fields import PivotIdentity, Siret
from openapi.rules import Rule

_NOW = 1_800_000_000
_TOWN = Siret("73282932000074")
_OTHER = Siret("35600000000048")
_VALUE, _MONTH, _NAME = "quotient_familial.valeur", "quotient_familial.mois", "allocataires.nom_naissance"

_IDENTITY = PivotIdentity.from_claims(
    {"family_name": "Canari", "gender": "female", "birthdate": "1980-01-01", "birthcountry": "99109"}
)
_CLIENT = Client("portail", "Portail", _TOWN, "Valombre", ("https://portail.example/retour",), {"keys": []}, "none")
_HABILITATION = Habilitation(
    "h1",
    _TOWN,
    frozenset(),
    "quotient_familial",
    frozenset({_VALUE, _MONTH}),
    {"tarification": {"fr": "Calculer", "en": "Compute"}},
    "consent",
    _NOW - 10,
    _NOW + 10,
)
_DETAIL = Detail("quotient_familial", (_VALUE, _MONTH), "tarification", _TOWN, expires_at=_NOW + 5)
_ASKED = Asked("r", "quotient_familial", (_VALUE,))


def _registry(habilitation: Habilitation | None = _HABILITATION, client: Client | None = _CLIENT) -> Registry:
    held = {} if habilitation is None else {(habilitation.organisation, habilitation.dataset): (habilitation,)}
    return Registry(1, {_TOWN: "Valombre"}, {} if client is None else {client.client_id: client}, held)


def _token(detail: Detail | None = _DETAIL, client_id: str = "portail") -> ConsentToken:
    details = {} if detail is None else {detail.dataset: detail}
    return ConsentToken(client_id, "g", "eidas1", 0, details, "pseudonym", _IDENTITY)


def test_everything_in_order_is_permitted() -> None:
    permit = decide(_ASKED, _token(), _registry(), now=_NOW)
    assert isinstance(permit, Permit)
    assert permit.fields == (_VALUE,)


def test_no_field_asked_means_what_was_consented_and_is_habilitated() -> None:
    permit = decide(
        Asked("r", "quotient_familial"), _token(replace(_DETAIL, fields=(_VALUE, _NAME))), _registry(), now=_NOW
    )
    assert isinstance(permit, Permit)
    assert permit.fields == (_VALUE,)


_BRACKET = Rule("tranche", "bracket", _VALUE, (500, 800))
_PRESENCE = Rule("a_un_mois", "is_present", _MONTH)
_ANSWERS = replace(_DETAIL, fields=(), rules=(_BRACKET, _PRESENCE))


def _permitted(asked: Asked, detail: Detail, habilitation: Habilitation = _HABILITATION) -> Permit:
    permit = decide(asked, _token(detail), _registry(habilitation), now=_NOW)
    assert isinstance(permit, Permit), permit
    return permit


def test_nothing_asked_means_every_field_and_every_answer_that_was_consented() -> None:
    permit = _permitted(Asked("r", "quotient_familial"), replace(_ANSWERS, fields=(_MONTH,), rules=(_BRACKET,)))
    assert (permit.fields, permit.rules) == ((_MONTH,), (_BRACKET,))


def test_an_answer_is_asked_for_by_its_name_and_brings_no_field() -> None:
    permit = _permitted(Asked("r", "quotient_familial", derived=("tranche",)), replace(_ANSWERS, fields=(_NAME,)))
    assert (permit.fields, permit.rules) == ((), (_BRACKET,))


def test_a_field_asked_for_brings_no_answer() -> None:
    permit = _permitted(
        Asked("r", "quotient_familial", (_MONTH,)), replace(_ANSWERS, fields=(_MONTH,), rules=(_BRACKET,))
    )
    assert (permit.fields, permit.rules) == ((_MONTH,), ())


def test_a_habilitation_for_the_answer_alone_never_lets_the_field_itself_out() -> None:
    answers = replace(_HABILITATION, fields=frozenset({_MONTH}), derived_only=frozenset({_VALUE}))
    permit = _permitted(Asked("r", "quotient_familial"), replace(_ANSWERS, rules=(_BRACKET,)), answers)
    assert (permit.fields, permit.rules) == ((), (_BRACKET,))
    decision = decide(_ASKED, _token(), _registry(answers), now=_NOW)
    assert isinstance(decision, Refusal)
    assert decision.slug == "field_not_habilitated"


def test_an_answer_over_a_field_that_is_not_habilitated_is_left_out() -> None:
    month = replace(_HABILITATION, fields=frozenset({_MONTH}))
    assert _permitted(Asked("r", "quotient_familial"), _ANSWERS, month).rules == (_PRESENCE,)


_REFUSED = {
    "field_not_consented (answer)": (
        Asked("r", "quotient_familial", derived=("autre",)),
        _token(_ANSWERS),
        _registry(),
        _NOW,
    ),
    "field_not_consented (the field of an answer)": (_ASKED, _token(_ANSWERS), _registry(), _NOW),
    "field_not_habilitated (answer)": (
        Asked("r", "quotient_familial"),
        _token(replace(_ANSWERS, rules=(_BRACKET,))),
        _registry(replace(_HABILITATION, fields=frozenset({_MONTH}))),
        _NOW,
    ),
    "client_unknown": (_ASKED, _token(), _registry(client=None), _NOW),
    "client_unknown ": (_ASKED, _token(client_id="other"), _registry(), _NOW),
    "dataset_not_consented": (_ASKED, _token(None), _registry(), _NOW),
    "field_not_consented": (Asked("r", "quotient_familial", (_VALUE, _NAME)), _token(), _registry(), _NOW),
    "grant_expired": (_ASKED, _token(replace(_DETAIL, expires_at=_NOW)), _registry(), _NOW),
    "habilitation_missing": (_ASKED, _token(), _registry(None), _NOW),
    "habilitation_missing (purpose)": (_ASKED, _token(replace(_DETAIL, purpose="other")), _registry(), _NOW),
    "habilitation_missing (recipient)": (_ASKED, _token(replace(_DETAIL, recipient=_OTHER)), _registry(), _NOW),
    "habilitation_missing (application)": (
        _ASKED,
        _token(),
        _registry(replace(_HABILITATION, clients=frozenset({"other"}))),
        _NOW,
    ),
    "habilitation_expired": (_ASKED, _token(), _registry(replace(_HABILITATION, valid_until=_NOW)), _NOW),
    "habilitation_not_started": (_ASKED, _token(), _registry(replace(_HABILITATION, valid_from=_NOW + 1)), _NOW),
    "field_not_habilitated": (
        _ASKED,
        _token(),
        _registry(replace(_HABILITATION, fields=frozenset({_MONTH}))),
        _NOW,
    ),
}


@pytest.mark.parametrize("case", sorted(_REFUSED))
def test_each_missing_condition_refuses_under_its_own_name(case: str) -> None:
    asked, token, registry, now = _REFUSED[case]
    decision = decide(asked, token, registry, now=now)
    assert isinstance(decision, Refusal)
    assert decision.slug == case.split(maxsplit=1)[0]
