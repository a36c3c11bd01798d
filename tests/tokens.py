"""Consent tokens, right and wrong, made without any code of ours."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey

PIVOT = {"family_name": "Canari", "gender": "female", "birthdate": "1980-01-01", "birthcountry": "99109"}
DETAIL = {
    "type": "urn:accord:quotient_familial",
    "datatypes": ["quotient_familial.valeur"],
    "purpose": "tarification_creche",
    "recipient": "73282932000074",
    "access": "recurring",
}
_JWE = jwe.JWERegistry(algorithms=["dir", "A256GCM", "A128CBC-HS256", "DEF"])


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes tokens with the keys of one deployment, or with others."""

    issuer: str
    key: EllipticCurvePrivateKey
    kid: str
    sealing: bytes
    sealing_kid: str

    def seal(self, plain: object, *, key: bytes | None = None, **header: str) -> str:
        protected = {"alg": "dir", "enc": "A256GCM", "kid": self.sealing_kid, **header}
        opener = OctKey.import_key(key or self.sealing)
        return jwe.encrypt_compact(protected, json.dumps(plain).encode(), opener, registry=_JWE)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Claims in order; a change to ``None`` leaves the claim out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": "pairwise",
            "client_id": "portail-famille",
            "iat": now,
            "exp": now + 300,
            "jti": "1",
            "grant_id": "g1",
            "acr": "eidas1",
            "authorization_details": [DETAIL],
            "status": {"status_list": {"idx": 5, "uri": self.issuer + "/status/0"}},
            "identity": self.seal({"pivot": PIVOT, "citizen": "pseudonym"}),
            "notice_sha256": "0" * 64,
        } | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, claims: dict[str, Any] | None = None, *, key: Any = "", alg: str = "ES256", **header: Any) -> bytes:
        """A signed token; ``key`` is the deployment's unless another is given."""
        headers = {"typ": "at+jwt", "kid": self.kid, **header}
        signer = self.key if key == "" else key
        return jwt.encode(claims or self.claims(), signer, algorithm=alg, headers=headers).encode()

    def signed(self, payload: object) -> bytes:
        """Any JSON under a right signature."""
        header = {"typ": "at+jwt", "kid": self.kid}
        return jwt.api_jws.encode(json.dumps(payload).encode(), self.key, "ES256", header).encode()

    def hs256_with_the_public_key(self) -> bytes:
        """Algorithm confusion, by hand: a library that knows this attack refuses to make it."""
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        header = base64url(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": self.kid}).encode())
        signed = header + b"." + base64url(json.dumps(self.claims()).encode())
        return signed + b"." + base64url(hmac.digest(public, signed, "sha256"))


def base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
