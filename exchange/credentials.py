"""What a request brings to say who sends it: one access token, and DPoP proofs (RFC 6750, RFC 9449). Pure.

Every door reads them here; each has its own words for what is missing or malformed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.asgi import Header
from exchange.consent_token import MAX_TOKEN_BYTES

_BEARER, _DPOP = b"bearer", b"dpop"
_SCHEMES = (_BEARER, _DPOP)


class CredentialsMalformed(ValueError):
    """Several ``Authorization`` headers, another scheme, or no token after it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token as it came in, empty when there is none, and the DPoP proofs."""

    token: bytes = field(default=b"", repr=False)
    is_dpop: bool = False
    """Whether the token came under the ``DPoP`` scheme rather than ``Bearer``."""
    proofs: tuple[str, ...] = field(default=(), repr=False)


def read_credentials(headers: Iterable[Header]) -> Credentials:
    """Every ``Authorization`` and every ``DPoP`` header, in one pass. Raises :class:`CredentialsMalformed`."""
    authorizations: list[bytes] = []
    proofs: list[str] = []
    for name, value in headers:
        if name == b"authorization":
            authorizations.append(value)
        elif name == b"dpop":
            proofs.append(value.decode("latin-1"))
    if not authorizations:
        return Credentials(proofs=tuple(proofs))
    scheme, _, token = authorizations[0].partition(b" ")
    scheme, token = scheme.lower(), token.strip()
    if len(authorizations) > 1 or scheme not in _SCHEMES or not token or len(token) > MAX_TOKEN_BYTES:
        raise CredentialsMalformed
    return Credentials(token, scheme == _DPOP, tuple(proofs))
