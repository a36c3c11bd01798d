"""FranceConnect's token as a consent token, with Accord as data provider ('fournisseur de données').

An application sends the access token that FranceConnect gave it for a citizen. Accord asks FranceConnect, at
``/checktoken``, whose it is, for which application and which scopes: the answer is a JWE around a JWS (RFC 9701), with
the algorithms listed here and no other. Nothing is kept: the token lives a minute, and every request asks again.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import httpx2
from joserfc import jwe
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from consent.config import FranceConnectConfig
from consent.franceconnect import ACCEPTED_ACR
from consent.franceconnect_keys import (
    LEEWAY,
    MALFORMED,
    TOKEN_LIMIT,
    FranceConnectKeys,
    content_of,
    invalid,
    plain_client,
)
from consent.outbound import TIMEOUT, BoundedTransport, check_transport
from consent.public_keys import LEAST_RSA_BITS
from openapi.fields import InvalidValue, PivotIdentity
from openapi.problem import AccordError

ALGORITHMS: Mapping[type[Key], str] = {ECKey: "ECDH-ES", RSAKey: "RSA-OAEP-256"}
"""How the content key may be agreed or sent, by the kind of our key."""
ENCRYPTION = "A256GCM"

_CURVE = "P-256"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,2048}=*\Z")
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """What FranceConnect says of a token that is active. ``repr`` shows nothing."""

    identity: PivotIdentity
    scopes: tuple[str, ...]
    """What the citizen let the application ask for, among what FranceConnect registered for us."""
    client_id: str
    """The application ('fournisseur de service') that the token was issued to, as FranceConnect knows it."""
    acr: str
    """The weakest assurance that the application accepted."""
    expires_at: int
    """Unix seconds."""

    def __repr__(self) -> str:
        return "CheckedToken(...)"


class TokenChecker:
    """One data provider's registration with FranceConnect, shared by the request threads.

    ``keys``: our private keys, of which FranceConnect has the public halves: EC on P-256, RSA of 2048 bits or more.
    Several of a kind may live at once, as FranceConnect's answers do not say which of them it used.

    Raises :class:`AccordError`: ``franceconnect_token_inactive``, ``franceconnect_unreachable``,
    ``franceconnect_answer_invalid`` with the check that failed, or ``identity_incomplete`` with the field.
    """

    def __init__(
        self, config: FranceConnectConfig, keys: KeySet, *, clock: Callable[[], float], timeout: float = TIMEOUT
    ) -> None:
        check_transport(config.issuer)
        self._config = config
        self._keys = tuple(_checked_key(key) for key in keys)
        if not self._keys:
            raise ValueError("checktoken: at least one key to decrypt with")
        self._clock = clock
        self._transport = BoundedTransport(timeout)
        self._client = plain_client(self._transport, timeout=timeout)
        self._published = FranceConnectKeys(config.issuer, self._transport, clock=clock, timeout=timeout)

    def check(self, token: str) -> CheckedToken:
        """Ask FranceConnect about an access token. Whatever cannot be one of its tokens is not sent to it."""
        if not _TOKEN.match(token):
            raise AccordError("franceconnect_token_inactive")
        signed = decrypted(self._ask(token), self._keys)
        claims = self._published.claims(
            signed, audience=self._config.client_id, check="introspection", essential=("iss", "aud", "iat")
        )
        return introspected(claims, token=token, now=self._clock())

    def close(self) -> None:
        """Close the connections that FranceConnect kept open."""
        self._transport.close()

    def _ask(self, token: str) -> bytes:
        form = {"token": token, "client_id": self._config.client_id, "client_secret": self._config.client_secret}
        try:
            answer = self._client.post(f"{self._config.issuer}/checktoken", data=form)
        except httpx2.HTTPError:
            raise AccordError("franceconnect_unreachable") from None
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            raise invalid("credentials")
        return content_of(answer)


def decrypted(answer: bytes, keys: Iterable[Key]) -> str:
    """The JWS inside, opened by the first of our keys that can. Raises ``franceconnect_answer_invalid``."""
    if len(answer) <= TOKEN_LIMIT:
        for key in keys:
            try:
                # Each kind of key opens under its one algorithm; 'DEF' is not among the allowed either.
                opened = jwe.decrypt_compact(answer.strip(), key, algorithms=[ALGORITHMS[type(key)], ENCRYPTION])
                return (opened.plaintext or b"").decode("ascii")
            except (*MALFORMED, AssertionError):
                continue
    raise invalid("encryption")


def introspected(claims: Mapping[str, object], *, token: str, now: float) -> CheckedToken:
    """What verified claims say of ``token`` at ``now`` (Unix seconds)."""
    _check_fresh(claims.get("iat"), now)
    told = claims.get("token_introspection")
    if not isinstance(told, dict) or not isinstance(told.get("active"), bool):
        raise invalid("active")
    if not told["active"]:
        raise AccordError("franceconnect_token_inactive")
    _check_same(told.get("jti"), token)
    return CheckedToken(
        expires_at=_not_ended(told.get("exp"), now),
        acr=_weakest(told.get("acr")),
        client_id=_client_id(told.get("aud")),
        scopes=_scopes(told.get("scope")),
        identity=_identity(told),
    )


def _check_fresh(issued_at: object, now: float) -> None:
    # Only an int compares as it should: NaN is neither old nor new, and True is 1.
    if type(issued_at) is not int or abs(now - issued_at) > LEEWAY:
        raise invalid("iat")


def _check_same(jti: object, token: str) -> None:
    """FranceConnect's ``jti`` is the token itself: an answer to another question would speak of another person."""
    # JSON can carry half a character, which cannot be encoded; no token has the '?' that takes its place.
    if not isinstance(jti, str) or not hmac.compare_digest(jti.encode(errors="replace"), token.encode()):
        raise invalid("jti")


def _not_ended(expires_at: object, now: float) -> int:
    if type(expires_at) is not int:
        raise invalid("exp")
    if expires_at <= now:
        raise AccordError("franceconnect_token_inactive")
    return expires_at


def _weakest(acr: object) -> str:
    """FranceConnect gives every level that the application accepts, separated by spaces."""
    levels = acr.split() if isinstance(acr, str) else []
    if not levels or not ACCEPTED_ACR.issuperset(levels):
        raise invalid("acr")
    return min(levels)


def _client_id(audience: object) -> str:
    if not isinstance(audience, str) or not _CLIENT_ID.match(audience):
        raise invalid("aud")
    return audience


def _scopes(scope: object) -> tuple[str, ...]:
    if not isinstance(scope, str) or not scope.isascii():
        raise invalid("scope")
    return tuple(scope.split())


def _identity(told: Mapping[str, object]) -> PivotIdentity:
    try:
        return PivotIdentity.from_claims(told)
    except InvalidValue as error:
        raise AccordError("identity_incomplete", field=error.field) from None


def _checked_key(key: Key) -> Key:
    """A private key for one of the algorithms. Raises :class:`ValueError`."""
    if isinstance(key, ECKey) and key.is_private and key.curve_name == _CURVE:
        return key
    if isinstance(key, RSAKey) and key.is_private and key.raw_value.key_size >= LEAST_RSA_BITS:
        return key
    raise ValueError(f"checktoken: a private key on {_CURVE}, or RSA of {LEAST_RSA_BITS} bits or more")
