"""The verifier of consent tokens: every check by its own name, hostile bytes with the one declared error."""

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from exchange.consent_token import ConsentTokenVerifier
from openapi.problem import AccordError
from tests.tokens import DETAIL, PIVOT, Mint, base64url

_ISSUER = "https://accord.example"
_KEY = ec.generate_private_key(ec.SECP256R1())
_OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
_SEALING = b"s" * 32
_MINT = Mint(_ISSUER, _KEY, "k1", _SEALING, "s1")
_VERIFIER = ConsentTokenVerifier(
    issuer=_ISSUER, audience=_ISSUER, keys={"k1": _KEY.public_key()}, sealing_keys={"s1": _SEALING}
)
_NOW = int(time.time())
_RULE = {"name": "tranche", "rule": "bracket", "field": "quotient_familial.valeur", "bounds": [500, 800]}

_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=6), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=6,
)


def _refused(token: bytes) -> str:
    with pytest.raises(AccordError) as caught:
        _VERIFIER.verify(token, now=time.time())
    return caught.value.slug


def test_a_token_in_order_gives_its_grant_and_its_identity() -> None:
    token = _VERIFIER.verify(_MINT.token(), now=time.time())
    assert token.grant_id == "g1"
    assert token.status_index == 5
    assert token.citizen == "pseudonym"
    assert token.identity.family_name == "Canari"
    assert token.details["quotient_familial"].fields == ("quotient_familial.valeur",)
    assert "Canari" not in repr(token)


@pytest.mark.parametrize(
    ("slug", "changed"),
    [
        ("token_issuer_invalid", {"iss": "https://evil.example"}),
        ("token_audience_invalid", {"aud": "https://other.example"}),
        ("token_audience_invalid", {"aud": [_ISSUER]}),
        ("token_expired", {"exp": _NOW}),
        ("token_not_yet_valid", {"iat": _NOW + 86_400}),
        ("token_claims_invalid", {"cnf": {"jkt": "x"}}),
        ("token_claims_invalid", {"cnf": {"jwk": {}}}),
        ("token_claims_invalid", {"cnf": {"jkt": "x" * 43, "x5t#S256": "x" * 43}}),
        ("token_claims_invalid", {"exp": None}),
        ("token_claims_invalid", {"exp": "tomorrow"}),
        ("token_claims_invalid", {"exp": True}),
        ("token_claims_invalid", {"grant_id": None}),
        ("token_claims_invalid", {"status": {}}),
        ("token_claims_invalid", {"status": {"status_list": {"idx": -1}}}),
        ("token_claims_invalid", {"authorization_details": {}}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"type": "other"}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"access": "always"}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"max_per_day": 51}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"derived": {}}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"derived": ["tranche"]}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"derived": [_RULE | {"rule": "value"}]}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"derived": [_RULE | {"bounds": [9, 1]}]}]}),
        # The answer and the field itself: no grant says both.
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"derived": [_RULE]}]}),
        ("token_claims_invalid", {"authorization_details": [DETAIL | {"datatypes": [], "derived": [_RULE, _RULE]}]}),
        ("token_identity_unreadable", {"identity": "a.b.c.d.e"}),
    ],
)
def test_each_wrong_claim_is_named(slug: str, changed: dict[str, Any]) -> None:
    assert _refused(_MINT.token(_MINT.claims(**changed))) == slug


def test_a_token_carries_its_rules() -> None:
    claims = _MINT.claims(authorization_details=[DETAIL | {"datatypes": [], "derived": [_RULE]}])
    detail = _VERIFIER.verify(_MINT.token(claims), now=time.time()).details["quotient_familial"]
    assert detail.fields == ()
    assert [rule.text for rule in detail.rules] == ["tranche=bracket(quotient_familial.valeur,500,800)"]


def test_alg_none_is_refused() -> None:
    assert _refused(_MINT.token(key=None, alg="none")) == "token_algorithm_refused"


def test_hs256_with_the_public_key_is_refused() -> None:
    assert _refused(_MINT.hs256_with_the_public_key()) == "token_algorithm_refused"


def test_another_curve_is_refused() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    assert _refused(_MINT.token(key=p384, alg="ES384")) == "token_algorithm_refused"


def test_an_unknown_kid_is_refused() -> None:
    assert _refused(_MINT.token(kid="k2")) == "token_key_unknown"


def test_an_id_token_is_not_a_consent_token() -> None:
    assert _refused(_MINT.token(typ="JWT")) == "token_type_invalid"


def test_a_critical_extension_is_refused() -> None:
    assert _refused(_MINT.token(crit=["x"], x=1)) == "token_malformed"


def test_another_key_under_a_known_kid_is_refused() -> None:
    _VERIFIER.verify(_MINT.token(), now=time.time())
    assert _refused(_MINT.token(key=_OTHER_KEY)) == "token_signature_invalid"


@pytest.mark.parametrize("header", [{"kid": "s2"}, {"enc": "A128CBC-HS256"}, {"zip": "DEF"}])
def test_an_identity_sealed_in_another_way_is_unreadable(header: dict[str, str]) -> None:
    sealed = _MINT.seal({"pivot": PIVOT, "citizen": "p"}, **header)
    assert _refused(_MINT.token(_MINT.claims(identity=sealed))) == "token_identity_unreadable"


def test_an_identity_sealed_under_another_key_is_unreadable() -> None:
    sealed = _MINT.seal({"pivot": PIVOT, "citizen": "p"}, key=b"x" * 32)
    assert _refused(_MINT.token(_MINT.claims(identity=sealed))) == "token_identity_unreadable"


def test_an_identity_that_is_not_one_is_unreadable() -> None:
    sealed = _MINT.seal({"pivot": PIVOT | {"birthdate": "yesterday"}, "citizen": "p"})
    assert _refused(_MINT.token(_MINT.claims(identity=sealed))) == "token_identity_unreadable"


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_any_changed_character_is_refused(position: int) -> None:
    token = bytearray(_MINT.token())
    token[position] = ord("A") if token[position] != ord("A") else ord("B")
    assert _refused(bytes(token)).startswith("token_")


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_the_declared_error(noise: bytes) -> None:
    assert _refused(noise).startswith("token_")


@given(_JSON)
def test_hostile_json_under_a_right_signature_raises_only_the_declared_error(payload: object) -> None:
    assert _refused(_MINT.signed(payload)).startswith("token_")


def test_a_token_that_is_too_large_is_not_even_parsed() -> None:
    assert _refused(b"e." + base64url(b"x" * 20_000) + b".s") == "token_malformed"


def test_a_token_from_before_a_rotation_verifies_after_it_and_a_dropped_key_leaves_nothing_behind() -> None:
    old, new = {"k1": _KEY.public_key()}, {"k2": _OTHER_KEY.public_key()}
    verifier = ConsentTokenVerifier(issuer=_ISSUER, audience=_ISSUER, keys=old, sealing_keys={"s1": _SEALING})
    other_sealing = b"t" * 32
    before, after = _MINT.token(), Mint(_ISSUER, _OTHER_KEY, "k2", other_sealing, "s2").token()
    assert verifier.verify(before, now=time.time()).grant_id == "g1"
    verifier.learn(keys=new | old, sealing_keys={"s2": other_sealing, "s1": _SEALING})
    for token in (before, after):
        assert verifier.verify(token, now=time.time()).identity.family_name == "Canari"
    verifier.learn(keys=new, sealing_keys={"s2": other_sealing, "s1": _SEALING})
    assert verifier.verify(after, now=time.time()).grant_id == "g1"
    with pytest.raises(AccordError, match="token_key_unknown"):
        verifier.verify(before, now=time.time())
