"""What an identity provider publishes of itself: its endpoints (OpenID Connect Discovery 1.0) and its signing keys.

What it signed is believed only under the one key that ``kid`` names, with an explicit algorithm, from its issuer, for
our ``client_id`` and in time. FranceConnect and ProConnect are spoken to the same way; their failures go by different
slugs, so that whoever reads one knows which of them it was.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2
from authlib.common.errors import AuthlibBaseError
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.jwt import JWTClaimsRegistry

from consent.outbound import TIMEOUT, BoundedTransport, origin
from consent.public_keys import check_fit
from openapi.problem import AccordError

ALGORITHMS = ("ES256", "RS256")
DISCOVERY_LIFETIME = 3600
KEYS_PAUSE = 30
"""Seconds before a provider's keys are asked for again because of an unknown ``kid``."""
LEEWAY = 30
TOKEN_LIMIT = 16_384
MALFORMED = (
    AuthlibBaseError,
    JoseError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What the libraries raise on an answer of an unexpected shape; tests feed them any JSON."""

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint")


class KeyUnknown(ValueError):
    """No one key of the set has the name that the token gives."""


@dataclass(frozen=True, slots=True)
class Slugs:
    """How one provider's failures are called in the registry of problems."""

    unreachable: str
    answer_invalid: str
    refused: str
    """Whoever was sent there came back without a login."""

    def absent(self) -> AccordError:
        """It does not answer, or reports a failure of its own."""
        return AccordError(self.unreachable)

    def invalid(self, check: str) -> AccordError:
        """The refusal of an answer; ``check`` is public and says nothing of its content."""
        return AccordError(self.answer_invalid, check=check)

    def content_of(self, answer: httpx2.Response) -> bytes:
        """The body of an answer of success; a failure of the provider's own is its absence."""
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise self.absent()
        if answer.status_code != httpx2.codes.OK:
            raise self.invalid("status")
        content: bytes = answer.content
        return content


@dataclass(frozen=True, slots=True)
class _Cached:
    """Something fetched, and when (Unix seconds)."""

    content: Mapping[str, object]
    at: float


class ProviderKeys:
    """One provider's endpoints and keys, shared by the request threads.

    Each of its two caches is guarded by its own lock, which is held while it is filled: a crowd waits for one answer
    instead of asking for many.

    Raises :class:`AccordError` with the slugs given: unreachable, or answer invalid with the check that failed.
    """

    def __init__(
        self,
        issuer: str,
        transport: BoundedTransport,
        *,
        slugs: Slugs,
        clock: Callable[[], float],
        timeout: float = TIMEOUT,
    ) -> None:
        self._issuer = issuer
        self._client = plain_client(transport, timeout=timeout)
        self._slugs = slugs
        self._clock = clock
        self._discovery: _Cached | None = None
        self._discovery_lock = threading.Lock()
        self._keys: _Cached | None = None
        self._keys_lock = threading.Lock()

    def endpoint(self, name: str) -> str:
        """An endpoint of the discovery document, which is kept for an hour."""
        with self._discovery_lock:
            cached = self._discovery
            if cached is None or self._clock() - cached.at > DISCOVERY_LIFETIME:
                document = self._document(f"{self._issuer}/.well-known/openid-configuration")
                self._check_discovery(document)
                self._discovery = cached = _Cached(document, self._clock())
        return str(cached.content[name])

    def claims(self, token: str, *, audience: str, check: str, essential: tuple[str, ...]) -> Mapping[str, object]:
        """The claims of a token for ``audience``, signed and in time; ``check`` is what its refusal names."""
        if len(token) > TOKEN_LIMIT:
            raise self._slugs.invalid(check)
        try:
            kid = jws.extract_compact(token.strip().encode()).headers().get("kid")
            claims = json.loads(signed_payload(token.strip(), self._known(wanted=kid)))
            if not isinstance(claims, dict):
                raise self._slugs.invalid(check)
            self._registry(audience, essential).validate(claims)
        except KeyUnknown:
            raise self._slugs.invalid("kid") from None
        except MALFORMED:
            raise self._slugs.invalid(check) from None
        return claims

    def _registry(self, audience: str, essential: tuple[str, ...]) -> JWTClaimsRegistry:
        options: dict[str, dict[str, object]] = {name: {"essential": True} for name in essential}
        options["iss"]["value"] = self._issuer
        options["aud"]["value"] = audience
        return JWTClaimsRegistry(now=int(self._clock()), leeway=LEEWAY, **options)  # type: ignore[arg-type]

    def _known(self, *, wanted: object) -> Mapping[str, object]:
        """The keys, fetched again when one is unknown, but at most once per pause."""
        with self._keys_lock:
            cached = self._keys
            if cached is None or (
                all(key.get("kid") != wanted for key in _listed(cached.content))
                and self._clock() - cached.at >= KEYS_PAUSE
            ):
                self._keys = cached = _Cached(self._document(self.endpoint("jwks_uri")), self._clock())
        return cached.content

    def _document(self, url: str) -> Mapping[str, object]:
        try:
            document = json.loads(self._slugs.content_of(self._client.get(url)))
        except httpx2.HTTPError:
            raise self._slugs.absent() from None
        except MALFORMED:
            raise self._slugs.invalid("json") from None
        if not isinstance(document, dict):
            raise self._slugs.invalid("json")
        return document

    def _check_discovery(self, document: Mapping[str, object]) -> None:
        """The issuer must be the one asked, and every endpoint must be at its origin: nothing leads elsewhere."""
        if document.get("issuer") != self._issuer:
            raise self._slugs.invalid("discovery issuer")
        for name in _ENDPOINTS:
            endpoint = document.get(name)
            if not isinstance(endpoint, str) or origin(endpoint) != origin(self._issuer):
                raise self._slugs.invalid(f"discovery {name}")


def signed_payload(token: str, jwks: Mapping[str, object]) -> bytes:
    """What the one key that ``kid`` names signed, under ES256 or RS256. Raises one of :data:`MALFORMED`."""
    header = jws.extract_compact(token.encode()).headers()
    found = [key for key in _listed(jwks) if key.get("kid") == header.get("kid")]
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"alg: must be {' or '.join(ALGORITHMS)}")
    if not isinstance(header.get("kid"), str) or len(found) != 1:
        raise KeyUnknown("kid: must name one key")
    check_fit(found[0], algorithm=algorithm)
    key = JWKRegistry.import_key(found[0])  # type: ignore[arg-type]
    return jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload


def plain_client(transport: BoundedTransport, *, timeout: float) -> httpx2.Client:
    """A client that asks for no compression, follows nothing and reads no environment."""
    return httpx2.Client(transport=transport, timeout=timeout, headers={"Accept-Encoding": "identity"}, trust_env=False)


def _listed(keys: Mapping[str, object]) -> list[Mapping[str, object]]:
    listed = keys.get("keys")
    return [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
