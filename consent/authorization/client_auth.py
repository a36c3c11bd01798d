"""Client authentication: ``private_key_jwt`` (RFC 7523 section 3, OpenID Connect Core section 9). Pure.

``aud`` must be the issuer, as a string. An array, or the URL of an endpoint, is refused: an assertion made for
another server could be replayed here (FAPI 2.0 section 5.3.2.1, CVE-2025-27370).

Algorithms: ES256 and PS256, which FAPI 2.0 allows and which the public sector's key stores offer. ``EdDSA`` names no
curve, and RFC 9864 deprecates it; its successor ``Ed25519`` is not yet common enough to be worth a third path.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import jwt
import orjson

from consent.authorization.forms import ASSERTION_TYPE, ClientForm
from consent.errors import OAuthError, invalid_client
from consent.model import Client
from consent.ports import Registry
from consent.public_keys import check_fit

ALGORITHMS = ("ES256", "PS256")
LONGEST_LIFE = 300
"""Seconds ahead that ``exp`` may lie: as long as a ``jti`` must be remembered."""
CLOCK_SKEW = 10
"""Seconds that another machine's clock may be ahead (FAPI 2.0 section 5.3.2.1)."""
MAX_JTI = 128

# 'client-authentication+jwt' is what draft-ietf-oauth-rfc7523bis asks for. Any other type was signed for another use.
_TYPES = (None, "JWT", "jwt", "client-authentication+jwt")
_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS), options={"verify_signature": True, "enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True)
class Authentication:
    """An application that proved who it is. ``jti`` must be spent once before it is believed."""

    client: Client
    jti: str
    expires_at: int


def authenticate(form: ClientForm, *, registry: Registry, issuer: str, now: int) -> Authentication:
    """Check the assertion. Raises :class:`OAuthError` ``invalid_client`` naming the first check that failed."""
    if not form.client_assertion:
        raise invalid_client(
            "client_assertion: missing; authenticate with private_key_jwt, or with a registered certificate"
        )
    if form.client_assertion_type != ASSERTION_TYPE:
        raise invalid_client(f"client_assertion_type: must be {ASSERTION_TYPE}")
    client = _client(form, registry)
    claims = _claims(_verified(form.client_assertion, client))
    _check_claims(claims, client_id=client.client_id, issuer=issuer)
    return Authentication(client, _jti(claims), _expiry(claims, now))


def authenticated_by_certificate(form: ClientForm, certificate: str, *, registry: Registry) -> Client:
    """The application whose registered certificate was shown (RFC 8705 section 2.2). Raises ``invalid_client``.

    ``certificate``: its SHA-256 thumbprint, as the trusted proxy's header gave it.
    """
    client = registry.client(form.client_id)
    known = client.certificates if client is not None else ()
    if client is None or not any(hmac.compare_digest(certificate, one) for one in known):
        raise invalid_client("certificate: not one that is registered for this client_id")
    return client


def _client(form: ClientForm, registry: Registry) -> Client:
    """The application that the assertion says it comes from, before anything of it is believed."""
    subject = _claims(_unverified(form.client_assertion)).get("sub")
    client = registry.client(subject) if isinstance(subject, str) else None
    if client is None:
        raise invalid_client("sub: must be the client_id of a registered application")
    if form.client_id not in ("", client.client_id):
        raise OAuthError("invalid_request", "client_id: must be the sub of the assertion, or absent")
    return client


def _unverified(assertion: str) -> bytes:
    try:
        payload: bytes = _JWS.decode_complete(assertion, options={"verify_signature": False})["payload"]
    except (jwt.PyJWTError, ValueError, RecursionError):
        _malformed()
    return payload


def _verified(assertion: str, client: Client) -> bytes:
    """The payload, if a registered key of the client signed it."""
    try:
        header = _JWS.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError, RecursionError):
        _malformed()
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise invalid_client(f"alg: must be {' or '.join(ALGORITHMS)}")
    if header.get("typ") not in _TYPES or header.keys() & {"crit", "b64"}:
        raise invalid_client("typ: must be JWT, client-authentication+jwt or absent, without crit")
    jwk = _registered_key(client, header.get("kid"))
    try:
        check_fit(jwk, algorithm=algorithm)
        # The key is made for this algorithm alone: an RSA key never verifies ES256, nor any key an HMAC.
        key = jwt.PyJWK(dict(jwk), algorithm)
        payload: bytes = _JWS.decode_complete(assertion, key, algorithms=[algorithm])["payload"]
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise invalid_client("signature: not made with the registered key that kid names") from None
    return payload


def _registered_key(client: Client, kid: object) -> Mapping[str, object]:
    listed = client.jwks.get("keys")
    keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    found = [key for key in keys if key.get("kid") == kid] if kid is not None else keys
    if len(found) != 1:
        raise invalid_client("kid: must name one of the application's registered keys")
    return found[0]


def _claims(payload: bytes) -> Mapping[str, object]:
    try:
        claims = orjson.loads(payload)
    except ValueError:
        _malformed()
    if not isinstance(claims, dict):
        _malformed()
    return claims


def _check_claims(claims: Mapping[str, object], *, client_id: str, issuer: str) -> None:
    if claims.get("iss") != client_id:
        raise invalid_client("iss: must be the client_id, like sub")
    if claims.get("aud") != issuer:
        raise invalid_client(f"aud: must be {issuer} as a string, not in an array")


def _expiry(claims: Mapping[str, object], now: int) -> int:
    expires_at = _time(claims, "exp")
    if expires_at is None or not now < expires_at <= now + LONGEST_LIFE:
        raise invalid_client(f"exp: required, in the future, at most {LONGEST_LIFE} seconds ahead")
    for name in ("iat", "nbf"):
        moment = _time(claims, name)
        if moment is not None and moment > now + CLOCK_SKEW:
            raise invalid_client(f"{name}: in the future; check the application's clock")
    return expires_at


def _time(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_client(f"{name}: a Unix time in whole seconds")
    return value


def _jti(claims: Mapping[str, object]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise invalid_client(f"jti: required, 1 to {MAX_JTI} characters, new for each assertion")
    return jti


def _malformed() -> NoReturn:
    raise invalid_client("client_assertion: not a JWT in compact form")
