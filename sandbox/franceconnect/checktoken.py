"""What FranceConnect tells a data provider of an access token. Pure: a token in, a payload or an encrypted answer out.

Names, values and headers are those of FranceConnect's own implementation; the answer is RFC 9701's, without ``typ``.
"""

from collections.abc import Mapping

from joserfc import jwe
from joserfc.jwk import RSAKey

from openapi.fields import PivotIdentity
from sandbox.franceconnect.authorize import ACR
from sandbox.franceconnect.people import DataProvider, identity_claims

PARAMETERS = frozenset({"token", "client_id", "client_secret"})
ENCRYPTION = "A256GCM"

INACTIVE: Mapping[str, object] = {"active": False}
"""Unknown, expired and never issued look the same (RFC 7662 section 2.2)."""


def active(
    identity: PivotIdentity,
    *,
    token: str,
    subject: str,
    partner: str,
    scopes: tuple[str, ...],
    issued_at: int,
    life: int,
) -> dict[str, object]:
    """``token_introspection`` of a living token: whose it is, all of her identity, and the scopes that concern us."""
    return {
        "active": True,
        "aud": partner,
        "sub": subject,
        "iat": issued_at,
        "exp": issued_at + life,
        "acr": ACR,
        "jti": token,
        "scope": " ".join(scopes),
        **identity_claims(identity, ("identite_pivot",)),
    }


def encrypted(signed: str, to: DataProvider) -> str:
    """The signed answer as a compact JWE for the data provider. Its header has ``alg``, ``enc`` and no ``kid``."""
    algorithm = "RSA-OAEP-256" if isinstance(to.encryption_key, RSAKey) else "ECDH-ES"
    header = {"alg": algorithm, "enc": ENCRYPTION}
    return jwe.encrypt_compact(header, signed, to.encryption_key, algorithms=[algorithm, ENCRYPTION])
