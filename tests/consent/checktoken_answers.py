"""Answers of ``/checktoken`` as FranceConnect makes them, each part of which can be made otherwise."""

import warnings
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwe, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from tests.consent.pages.loopback_franceconnect import CLIENT_ID, IDENTITY, unsigned
from tests.consent.pages.scene import NOW

TOKEN = "q5a-AQUsCqKAbOPeLEzqHjWsnfYzE3GkXw1r4bGpXcY"
APPLICATION = "6925fb8143c76eded44d32b40c0cb1006065f7f003de52712b78985704f39950"
SCOPES = ("openid", "identite_pivot", "cnaf_quotient_familial")
PERSONAL = ("MARTIN", "Camille", "1990-02-28", "35238")


@dataclass(frozen=True)
class Keys:
    """Ours, private; the others are nobody's."""

    ec: ECKey
    rsa: RSAKey
    other_ec: ECKey
    other_rsa: RSAKey

    @property
    def ours(self) -> KeySet:
        return KeySet([self.ec, self.rsa])


def make_keys() -> Keys:
    ec, other_ec = (ECKey.generate_key("P-256") for _ in range(2))
    rsa, other_rsa = (RSAKey.generate_key(2048) for _ in range(2))
    return Keys(ec, rsa, other_ec, other_rsa)


@dataclass
class Answer:
    """``claims`` and ``told`` change the outer and the inner claims; ``None`` leaves one out."""

    issuer: str
    signs_with: ECKey | RSAKey | OctKey
    encrypts_to: ECKey | RSAKey | OctKey
    claims: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "ES256"
    header: dict[str, str] = field(default_factory=dict)

    def introspection(self) -> dict[str, Any]:
        """``token_introspection`` of an active token."""
        told = {"active": True, "aud": APPLICATION, "sub": "f" * 64 + "v1", "iat": NOW - 5, "exp": NOW + 55}
        told |= {"acr": "eidas1", "jti": TOKEN, "scope": " ".join(SCOPES)}
        return _without_none(told | IDENTITY | self.told)

    def payload(self) -> dict[str, Any]:
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": NOW, "token_introspection": self.introspection()}
        return _without_none(claims | self.claims)

    def signed(self) -> str:
        header = {"alg": self.algorithm, "kid": self.signs_with.kid or "fc-1"}
        if self.algorithm == "none":
            return unsigned(header, self.payload())
        return jwt.encode(header, self.payload(), self.signs_with, algorithms=[self.algorithm])

    def encrypted(self, content: str | bytes | None = None) -> bytes:
        usual = "RSA-OAEP-256" if isinstance(self.encrypts_to, RSAKey) else "ECDH-ES"
        header = {"alg": usual, "enc": "A256GCM", **self.header}
        content = self.signed() if content is None else content
        with warnings.catch_warnings():
            # joserfc rightly warns of RSA1_5.
            warnings.simplefilter("ignore", SecurityWarning)
            return jwe.encrypt_compact(header, content, self.encrypts_to, algorithms=[*header.values()]).encode()


def _without_none(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if value is not None}
