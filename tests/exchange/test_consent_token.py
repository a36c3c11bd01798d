"""The verifier of consent tokens: every check by its own name, hostile bytes with the one declared error."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey

from exchange.consent_token import ConsentTokenVerifier
from openapi.problem import AccordError

_ISSUER = "https://accord.example"
_KEY = ec.generate_private_key(ec.SECP256R1())
_OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
_SEALING = b"s" * 32
_NOW = time.time()
_PIVOT = {"family_name": "Canari", "gender": "female", "birthdate": "1980-01-01", "birthcountry": "99109"}
_DETAIL = {
    "type": "urn:accord:quotient_familial",
    "datatypes": ["quotient_familial.valeur"],
    "purpose": "tarification_creche",
    "recipient": "73282932000074",
    "access": "recurring",
}


@pytest.fixture(scope="module")
def verifier() -> ConsentTokenVerifier:
    return ConsentTokenVerifier(
        issuer=_ISSUER, audience=_ISSUER, keys={"k1": _KEY.public_key()}, sealing_keys={"s1": _SEALING}
    )


def _seal(plain: object, *, key: bytes = _SEALING, **header: str) -> str:
    protected = {"alg": "dir", "enc": "A256GCM", "kid": "s1", **header}
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM", "A128CBC-HS256", "DEF"])
    return jwe.encrypt_compact(protected, json.dumps(plain).encode(), OctKey.import_key(key), registry=registry)


def _claims(**changed: Any) -> dict[str, Any]:
    claims = {
        "iss": _ISSUER,
        "aud": _ISSUER,
        "sub": "pairwise",
        "client_id": "portail",
        "iat": int(_NOW),
        "exp": int(_NOW) + 300,
        "jti": "1",
        "grant_id": "g1",
        "acr": "eidas1",
        "authorization_details": [_DETAIL],
        "status": {"status_list": {"idx": 5, "uri": _ISSUER + "/status/0"}},
        "identity": _seal({"pivot": _PIVOT, "citizen": "pseudonym"}),
        "notice_sha256": "0" * 64,
    } | changed
    return {name: value for name, value in claims.items() if value is not None}


def _token(claims: dict[str, Any] | None = None, *, key: Any = _KEY, alg: str = "ES256", **header: Any) -> bytes:
    headers = {"typ": "at+jwt", "kid": "k1", **header}
    return jwt.encode(claims or _claims(), key, algorithm=alg, headers=headers).encode()


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _refused(verifier: ConsentTokenVerifier, token: bytes) -> str:
    with pytest.raises(AccordError) as caught:
        verifier.verify(token, now=_NOW)
    return caught.value.slug


def test_a_token_in_order_gives_its_grant_and_its_identity(verifier: ConsentTokenVerifier) -> None:
    token = verifier.verify(_token(), now=_NOW)
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
        ("token_expired", {"exp": int(_NOW)}),
        ("token_not_yet_valid", {"iat": int(_NOW) + 60}),
        ("token_binding_unsupported", {"cnf": {"jkt": "x"}}),
        ("token_claims_invalid", {"exp": None}),
        ("token_claims_invalid", {"exp": "tomorrow"}),
        ("token_claims_invalid", {"exp": True}),
        ("token_claims_invalid", {"grant_id": None}),
        ("token_claims_invalid", {"status": {}}),
        ("token_claims_invalid", {"status": {"status_list": {"idx": -1}}}),
        ("token_claims_invalid", {"authorization_details": {}}),
        ("token_claims_invalid", {"authorization_details": [_DETAIL | {"type": "other"}]}),
        ("token_claims_invalid", {"authorization_details": [_DETAIL | {"access": "always"}]}),
        ("token_claims_invalid", {"authorization_details": [_DETAIL | {"max_per_day": 3}]}),
        ("token_identity_unreadable", {"identity": "a.b.c.d.e"}),
    ],
)
def test_each_wrong_claim_is_named(verifier: ConsentTokenVerifier, slug: str, changed: dict[str, Any]) -> None:
    assert _refused(verifier, _token(_claims(**changed))) == slug


def test_alg_none_is_refused(verifier: ConsentTokenVerifier) -> None:
    assert _refused(verifier, _token(key=None, alg="none")) == "token_algorithm_refused"


def test_hs256_with_the_public_key_is_refused(verifier: ConsentTokenVerifier) -> None:
    public = _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # By hand: a library that knows this attack refuses to make it.
    header = _base64url(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "k1"}).encode())
    signed = header + b"." + _base64url(json.dumps(_claims()).encode())
    signature = _base64url(hmac.digest(public, signed, "sha256"))
    assert _refused(verifier, signed + b"." + signature) == "token_algorithm_refused"


def test_another_curve_is_refused(verifier: ConsentTokenVerifier) -> None:
    assert _refused(verifier, _token(key=ec.generate_private_key(ec.SECP384R1()), alg="ES384")) == (
        "token_algorithm_refused"
    )


def test_an_unknown_kid_is_refused(verifier: ConsentTokenVerifier) -> None:
    assert _refused(verifier, _token(kid="k2")) == "token_key_unknown"


def test_an_id_token_is_not_a_consent_token(verifier: ConsentTokenVerifier) -> None:
    assert _refused(verifier, _token(typ="JWT")) == "token_type_invalid"


def test_a_critical_extension_is_refused(verifier: ConsentTokenVerifier) -> None:
    assert _refused(verifier, _token(crit=["x"], x=1)) == "token_malformed"


def test_another_key_under_a_known_kid_is_refused(verifier: ConsentTokenVerifier) -> None:
    verifier.verify(_token(), now=_NOW)
    assert _refused(verifier, _token(key=_OTHER_KEY)) == "token_signature_invalid"


@pytest.mark.parametrize("header", [{"kid": "s2"}, {"enc": "A128CBC-HS256"}, {"zip": "DEF"}])
def test_an_identity_sealed_in_another_way_is_unreadable(
    verifier: ConsentTokenVerifier, header: dict[str, str]
) -> None:
    sealed = _seal({"pivot": _PIVOT, "citizen": "p"}, **header)
    assert _refused(verifier, _token(_claims(identity=sealed))) == "token_identity_unreadable"


def test_an_identity_sealed_under_another_key_is_unreadable(verifier: ConsentTokenVerifier) -> None:
    sealed = _seal({"pivot": _PIVOT, "citizen": "p"}, key=b"x" * 32)
    assert _refused(verifier, _token(_claims(identity=sealed))) == "token_identity_unreadable"


def test_an_identity_that_is_not_one_is_unreadable(verifier: ConsentTokenVerifier) -> None:
    sealed = _seal({"pivot": _PIVOT | {"birthdate": "yesterday"}, "citizen": "p"})
    assert _refused(verifier, _token(_claims(identity=sealed))) == "token_identity_unreadable"


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_any_changed_character_is_refused(verifier: ConsentTokenVerifier, position: int) -> None:
    token = bytearray(_token())
    token[position] = ord("A") if token[position] != ord("A") else ord("B")
    assert _refused(verifier, bytes(token)).startswith("token_")


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_the_declared_error(noise: bytes) -> None:
    verifier = ConsentTokenVerifier(issuer=_ISSUER, audience=_ISSUER, keys={}, sealing_keys={})
    assert _refused(verifier, noise).startswith("token_")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.text(max_size=6), inner, max_size=3) | st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
def test_hostile_json_under_a_right_signature_raises_only_the_declared_error(payload: object) -> None:
    verifier = ConsentTokenVerifier(
        issuer=_ISSUER, audience=_ISSUER, keys={"k1": _KEY.public_key()}, sealing_keys={"s1": _SEALING}
    )
    token = jwt.api_jws.encode(json.dumps(payload).encode(), _KEY, "ES256", {"typ": "at+jwt", "kid": "k1"})
    assert _refused(verifier, token.encode()).startswith("token_")


def test_a_token_that_is_too_large_is_not_even_parsed(verifier: ConsentTokenVerifier) -> None:
    large = b"e." + urlsafe_b64encode(b"x" * 20_000) + b".s"
    assert _refused(verifier, large) == "token_malformed"
