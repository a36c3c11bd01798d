"""Wycheproof's JOSE vectors through the code that verifies tokens: every invalid one is refused.

===================  ==========================================  =======================================
code                 algorithms                                  vectors
===================  ==========================================  =======================================
gateway              ES256 under P-256; JWE ``dir``, A256GCM     signature, key, crypto; all encryption
client assertions    ES256, PS256 under registered JWKs          signature, key, crypto
FranceConnect        ES256, RS256 under its published JWKs       signature, key, crypto
===================  ==========================================  =======================================

Valid vectors of an algorithm that the code allows are accepted; of any other algorithm they are refused like invalid
ones. JSON serializations are refused: everything here is compact.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from consent.authorization.client_auth import _verified as verified_assertion
from consent.errors import OAuthError
from consent.franceconnect_keys import MALFORMED, signed_payload
from consent.model import Client
from consent.public_keys import check_fit
from exchange.consent_token import _check_signature, _decode, _json_object, _key, _Known, _open, _parts
from openapi.fields import Siret
from openapi.problem import AccordError
from tests.tokens import base64url

_JWS_FILES = ("json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json")
_JWE_FILES = ("json_web_encryption_test.json", "json_web_crypto_test.json")


@dataclass(frozen=True)
class Case:
    """One vector with the keys of its group as a JWK Set."""

    name: str
    token: str
    keys: list[dict[str, Any]]
    valid: bool
    payload: bytes | None = None

    @property
    def algorithm(self) -> str:
        return str(_header(self.token).get("alg"))


def _header(token: str) -> dict[str, Any]:
    try:
        header = orjson.loads(_decode(token.split(".", 1)[0].encode()))
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}


def _cases(reference: Path, files: tuple[str, ...], member: str) -> Iterator[Case]:
    for file in files:
        for group in json.loads((reference / "vectors/jose" / file).read_text())["testGroups"]:
            given = group.get("public") or group["private"]
            keys = given.get("keys", [given])
            for test in group["tests"]:
                if member in test:
                    token = test[member] if isinstance(test[member], str) else json.dumps(test[member])
                    name = f"{file} {test['tcId']} {test['comment']}"
                    yield Case(name, token, keys, test["result"] == "valid")


def _gateway(case: Case) -> bool:
    """Whether the gateway's checks of header and signature pass; ``typ`` is not what these vectors are about."""
    try:
        header, payload, signature = _parts(case.token.encode())
        fields = dict(_json_object(header)) | {"typ": "at+jwt", "kid": "k"}
        (jwk,) = case.keys
        key = jwt.PyJWK(jwk | {"alg": "ES256"}).key
        assert isinstance(key, EllipticCurvePublicKey)
        # As the keyring does when it loads a key.
        check_fit(jwk, algorithm="ES256")
        keys = {"k": key}
        _check_signature(_key(base64url(orjson.dumps(fields)), keys), header + b"." + payload, signature)
    except (AccordError, AssertionError, ValueError, jwt.PyJWTError):
        return False
    return True


def _client_assertion(case: Case) -> bool:
    client = Client("c", "c", Siret("35600000000048"), "o", (), {"keys": case.keys}, "none")
    try:
        verified_assertion(case.token, client)
    except OAuthError:
        return False
    return True


def _franceconnect(case: Case) -> bool:
    try:
        signed_payload(case.token.strip(), {"keys": case.keys})
    except (AccordError, *MALFORMED):
        return False
    return True


@pytest.mark.parametrize(
    ("accepts", "algorithms"),
    [
        (_gateway, {"ES256"}),
        (_client_assertion, {"ES256", "PS256"}),
        (_franceconnect, {"ES256", "RS256"}),
    ],
    ids=["gateway", "client assertions", "FranceConnect"],
)
def test_every_invalid_signature_is_refused_and_every_valid_one_of_ours_accepted(
    reference: Path, accepts: Callable[[Case], bool], algorithms: set[str]
) -> None:
    seen: Counter[str] = Counter()
    for case in _cases(reference, _JWS_FILES, "jws"):
        expected = case.valid and case.algorithm in algorithms and len(case.keys) == 1
        seen["accepted" if expected else "refused"] += 1
        assert accepts(case) == expected, case.name
    assert seen["refused"] > 400
    assert seen["accepted"] >= len(algorithms) * 2


def test_every_encrypted_token_of_another_algorithm_or_a_changed_one_is_refused(reference: Path) -> None:
    seen = 0
    for case in _cases(reference, _JWE_FILES, "jwe"):
        key = next((one for one in case.keys if one.get("kty") == "oct"), None)
        secret = _decode(key["k"].encode()) if key else b""
        kid = str(_header(case.token).get("kid"))
        sealing = {kid: secret} if len(secret) == 32 else {}
        # None of the vectors is 'dir' with A256GCM, the one way in which identities are sealed.
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError, AccordError)):
            _open(case.token.encode(), _Known({}, sealing))
        seen += 1
    assert seen > 150
