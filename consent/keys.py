"""The keys of the consent authority: plain values that ``exchange`` builds from files.

Several of each live at once, found by ``kid``, so that a rotation interrupts nobody: a new key is known everywhere
before it is used, and an old one as long as anything made with it may live. Every value here is immutable; a rotation
replaces it whole.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey

_COORDINATE_BYTES = 32
_SEALING_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key: P-256, named by ``kid``."""

    kid: str
    private: EllipticCurvePrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.private.curve, SECP256R1):
            raise ValueError(f"signing key {self.kid}: ES256 needs the curve P-256")  # noqa: TRY004  # the value is wrong

    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK (RFC 7518 section 6.2)."""
        point = self.private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _coordinate(point.x),
            "y": _coordinate(point.y),
            "kid": self.kid,
            "use": "sig",
            "alg": "ES256",
        }


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys of consent tokens, newest first: all are published, the newest that everybody has read signs.

    ``unripe``: how many of the newest are published only, as somebody may not have read them yet.
    """

    signing: tuple[SigningKey, ...]
    unripe: int = 0

    def __post_init__(self) -> None:
        kids = [key.kid for key in self.signing]
        if not kids or len(set(kids)) != len(kids):
            raise ValueError("token keys: at least one, each with its own kid")
        if not 0 <= self.unripe < len(kids):
            raise ValueError("token keys: one of them signs")

    @property
    def current(self) -> SigningKey:
        """The key that signs."""
        return self.signing[self.unripe]

    @property
    def kids(self) -> tuple[str, ...]:
        """Every ``kid``, newest first."""
        return tuple(key.kid for key in self.signing)

    @property
    def kid_in_use(self) -> str:
        """The ``kid`` of the key that signs."""
        return self.current.kid

    def public(self) -> dict[str, EllipticCurvePublicKey]:
        """Every public half by ``kid``, for who verifies."""
        return {key.kid: key.private.public_key() for key in self.signing}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set (RFC 7517 section 5)."""
        return {"keys": [key.public_jwk() for key in self.signing]}


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """The 256-bit keys that seal identities, by ``kid``, newest first; ``current`` seals, all of them open."""

    keys: Mapping[str, bytes] = field(repr=False)
    current: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))
        if self.current not in self.keys or any(len(key) != _SEALING_BYTES for key in self.keys.values()):
            raise ValueError(f"sealing keys: {_SEALING_BYTES} bytes each, and the current one among them")

    @property
    def kids(self) -> tuple[str, ...]:
        """Every ``kid``, newest first."""
        return tuple(self.keys)

    @property
    def kid_in_use(self) -> str:
        """The ``kid`` of the key that seals."""
        return self.current


class AuthorityKeys(Protocol):
    """Where the authority reads its keys each time it uses one: they change while it runs."""

    @property
    def tokens(self) -> TokenKeys:
        """The keys of consent tokens."""
        ...

    @property
    def sealing(self) -> SealingKeys:
        """The keys that seal identities."""
        ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that do not change."""

    tokens: TokenKeys = field(repr=False)
    sealing: SealingKeys = field(repr=False)


def _coordinate(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(_COORDINATE_BYTES)).rstrip(b"=").decode()
