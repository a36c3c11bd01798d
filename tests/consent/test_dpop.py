"""DPoP proofs (RFC 9449): the RFC's own, and every way to get one wrong."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from consent.dpop import CLOCK_SKEW, MAX_AGE, NONCE_SECONDS, Nonces, Proof, ProofInvalid, check_proof, is_thumbprint
from tests.consent.world import NOW, public_jwk

URL = "https://accord.example/oauth/token"
KEY = ec.generate_private_key(ec.SECP256R1())
NONCES = Nonces(b"k" * 32, required=False)
STRICT = Nonces(b"k" * 32, required=True)


def proof(*, key: Any = KEY, alg: str = "ES256", header: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {"jti": "j1", "htm": "POST", "htu": URL, "iat": NOW} | changed
    headers = {"typ": "dpop+jwt", "jwk": public_jwk(key)} | (header or {})
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=alg, headers={k: v for k, v in headers.items() if v is not None})


def check(text: str, *, nonces: Nonces = NONCES, access_token: bytes | None = None, now: float = NOW) -> Proof:
    return check_proof(text, method="POST", url=URL, now=now, nonces=nonces, access_token=access_token)


def refused(text: str, **arguments: Any) -> str:
    with pytest.raises(ProofInvalid) as caught:
        check(text, **arguments)
    return caught.value.check.partition(":")[0]


def test_the_proofs_of_the_rfc_hold_for_their_requests_and_no_other(reference: Path) -> None:
    vectors = json.loads((reference / "vectors/dpop-rfc9449.json").read_text())
    proofs = vectors["proofs"]
    assert len(proofs) >= 3
    for name, one in proofs.items():
        claims, token = one["payload"], vectors["access_token"].encode() if "ath" in one["payload"] else None
        if not one["signature_valid"]:
            assert refused(one["jwt"]) == "signature"
            continue
        arguments = {"method": claims["htm"], "url": claims["htu"], "access_token": token, "nonces": NONCES}
        if "nonce" in claims:
            # The RFC's server made its nonce otherwise: to ours it is an old one.
            with pytest.raises(ProofInvalid) as stale:
                check_proof(one["jwt"], now=claims["iat"], **arguments)
            assert stale.value.wants_nonce, name
            continue
        held = check_proof(one["jwt"], now=claims["iat"], **arguments)
        assert held.jkt == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", name
        with pytest.raises(ProofInvalid, match="htm"):
            check_proof(one["jwt"], now=claims["iat"], **{**arguments, "method": "PUT"})


def test_the_thumbprint_is_the_keys_whatever_else_the_jwk_says() -> None:
    expected = ECKey.import_key(public_jwk(KEY)).thumbprint()
    assert check(proof()).jkt == expected
    assert check(proof(header={"jwk": public_jwk(KEY) | {"kid": "x", "use": "sig", "alg": "ES256"}})).jkt == expected
    assert is_thumbprint(expected)


def test_ps256_is_accepted_too() -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert check(proof(key=key, alg="PS256")).jti == "j1"


@pytest.mark.parametrize(
    ("named", "header", "changed"),
    [
        ("typ", {"typ": "JWT"}, {}),
        ("typ", {"typ": None}, {}),
        ("jwk", {"jwk": None}, {}),
        ("jwk", {"jwk": public_jwk(KEY) | {"d": "AA"}}, {}),
        ("jwk", {"jwk": {"kty": "oct", "k": "AAAA"}}, {}),
        ("jwk", {"jwk": public_jwk(KEY) | {"crv": "P-384"}}, {}),
        ("jwk", {"jwk": public_jwk(KEY) | {"x": "AAAA"}}, {}),
        ("signature", {"jwk": public_jwk(ec.generate_private_key(ec.SECP256R1()))}, {}),
        ("htm", {}, {"htm": "GET"}),
        ("htm", {}, {"htm": "post"}),
        ("htu", {}, {"htu": "https://accord.example/oauth/par"}),
        ("htu", {}, {"htu": "http://accord.example/oauth/token"}),
        ("htu", {}, {"htu": "https://accord.example:8443/oauth/token"}),
        ("htu", {}, {"htu": "https://[bad"}),
        ("htu", {}, {"htu": None}),
        ("iat", {}, {"iat": NOW - MAX_AGE - 1}),
        ("iat", {}, {"iat": NOW + CLOCK_SKEW + 1}),
        ("iat", {}, {"iat": str(NOW)}),
        ("iat", {}, {"iat": None}),
        ("exp", {}, {"exp": NOW}),
        ("nbf", {}, {"nbf": NOW + 61}),
        ("jti", {}, {"jti": None}),
        ("jti", {}, {"jti": "x" * 129}),
        ("nonce", {}, {"nonce": "made up"}),
        ("nonce", {}, {"nonce": 7}),
        ("DPoP", {"crit": ["exp"]}, {}),
    ],
)
def test_a_proof_is_refused_by_the_name_of_what_is_wrong(
    named: str, header: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert refused(proof(header=header, **changed)) == named


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": NOW - 10},
        {"iat": NOW + 10},
        {"htu": "HTTPS://ACCORD.example:443/oauth/token?x=1#y"},
        {"nbf": NOW, "exp": NOW + 5},
        {"nonce": NONCES.current(NOW)},
        {"nonce": NONCES.current(NOW - NONCE_SECONDS)},
    ],
)
def test_what_the_rfc_allows_is_accepted(changed: dict[str, Any]) -> None:
    assert check(proof(**changed)).jti == "j1"


def test_algorithms_that_are_not_listed_are_refused_whatever_they_sign() -> None:
    secret = jwt.encode({"jti": "1"}, "k" * 64, algorithm="HS256", headers={"typ": "dpop+jwt", "jwk": public_jwk(KEY)})
    unsigned = jwt.encode({"jti": "1"}, None, algorithm="none", headers={"typ": "dpop+jwt", "jwk": public_jwk(KEY)})
    assert refused(secret) == "alg"
    assert refused(unsigned) == "alg"


def test_ath_must_name_the_token_it_comes_with() -> None:
    token = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    right = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    assert check(proof(ath=right), access_token=token).jti == "j1"
    assert refused(proof(ath=right), access_token=b"another") == "ath"
    assert refused(proof(), access_token=token) == "ath"


def test_where_nonces_are_required_a_proof_without_one_is_told_so() -> None:
    with pytest.raises(ProofInvalid) as missing:
        check(proof(), nonces=STRICT)
    assert missing.value.wants_nonce
    assert check(proof(nonce=STRICT.current(NOW)), nonces=STRICT).jti == "j1"
    assert refused(proof(nonce=STRICT.current(NOW - 2 * NONCE_SECONDS)), nonces=STRICT) == "nonce"


def test_what_is_spent_tells_nothing_of_key_or_jti() -> None:
    spent = check(proof(jti="a-jti-of-mine")).spend_key
    assert "a-jti-of-mine" not in spent
    assert spent != check(proof(jti="another")).spend_key


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")))
def test_hostile_text_raises_the_declared_error_and_nothing_else(text: str) -> None:
    for one in (text, text + ".." + text, f"{text}.{text}.{text}"):
        with pytest.raises(ProofInvalid):
            check(one)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d"]), inner)
        ),
        max_leaves=8,
    )
)
def test_any_jwk_at_all_raises_the_declared_error_and_nothing_else(jwk: Any) -> None:
    with pytest.raises(ProofInvalid):
        check(proof(header={"jwk": jwk}))
