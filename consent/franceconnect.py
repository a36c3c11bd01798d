"""FranceConnect v2, with Accord as relying party (OpenID Connect Core 1.0, code flow).

Decides who the citizen is: the ID token and the userinfo are both signed JWTs, checked with explicit
algorithms against FranceConnect's keys, and must speak of the same ``sub``. FranceConnect refuses any request
parameter it does not list, PKCE's included; the nonce and the state bind the answer to the browser instead.
"""

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import urlencode

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.jwt import JWTClaimsRegistry

from consent.config import FranceConnectConfig
from consent.outbound import TIMEOUT, BoundedTransport, check_transport, origin
from consent.public_keys import check_fit
from openapi.fields import InvalidValue, PivotIdentity
from openapi.problem import AccordError

ALGORITHMS = ("ES256", "RS256")
SCOPE = "openid given_name family_name birthdate gender birthplace birthcountry preferred_username"
ACR = "eidas1"
ACCEPTED_ACR = frozenset({"eidas1", "eidas2", "eidas3"})
DISCOVERY_LIFETIME = 3600
KEYS_PAUSE = 30
"""Seconds before FranceConnect's keys are asked for again because of an unknown ``kid``."""
LEEWAY = 30

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint")
_TOKEN_LIMIT = 16_384
_MALFORMED = (AuthlibBaseError, JoseError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
"""What the libraries raise on an answer of an unexpected shape; tests feed them any JSON."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what must come back with it."""

    url: str
    state: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who came back. ``id_token`` serves FranceConnect's logout and nothing else."""

    identity: PivotIdentity
    acr: str
    id_token: str

    def __repr__(self) -> str:
        return "Authentication(...)"


@dataclass(frozen=True, slots=True)
class _Cached:
    """Something fetched, and when (Unix seconds)."""

    content: Mapping[str, object]
    at: float


class FranceConnect:
    """One relying party, shared by the request threads.

    Each of its two caches is guarded by its own lock, which is held while it is filled: a crowd waits for one answer
    instead of asking for many.

    Raises :class:`AccordError`: ``franceconnect_unreachable``, ``franceconnect_answer_invalid`` with the check
    that failed, ``login_refused``, or ``identity_incomplete``.
    """

    def __init__(
        self,
        config: FranceConnectConfig,
        *,
        redirect_uri: str,
        clock: Callable[[], float],
        timeout: float = TIMEOUT,
    ) -> None:
        check_transport(config.issuer)
        self._config = config
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._timeout = timeout
        self._transport = BoundedTransport(timeout)
        self._discovery: _Cached | None = None
        self._discovery_lock = threading.Lock()
        self._keys: _Cached | None = None
        self._keys_lock = threading.Lock()

    def depart(self) -> Departure:
        """The start of a login: FranceConnect's address with a fresh state and nonce."""
        state, nonce = token_urlsafe(32), token_urlsafe(32)
        url, _ = self._client().create_authorization_url(
            self._endpoint("authorization_endpoint"), state=state, nonce=nonce, acr_values=ACR
        )
        return Departure(url, state, nonce)

    def authenticate(self, *, code: str, nonce: str) -> Authentication:
        """Exchange the code for who the citizen is. ``nonce`` is the one of the departure."""
        # A client per login: Authlib keeps the access token on the client, and threads must not swap them.
        client = self._client()
        id_token = self._fetch_id_token(client, code)
        claims = self._verified(id_token, check="id_token", essential=("iss", "sub", "aud", "exp", "iat", "nonce"))
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise _invalid("nonce")
        acr = claims.get("acr")
        if not isinstance(acr, str) or acr not in ACCEPTED_ACR:
            raise _invalid("acr")
        return Authentication(self._identity(client, subject=claims["sub"]), acr, id_token)

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        """FranceConnect's end of session; without ``id_token_hint`` it refuses (RP-Initiated Logout 1.0)."""
        query = {"id_token_hint": id_token, "state": token_urlsafe(32), "post_logout_redirect_uri": return_to}
        return f"{self._endpoint('end_session_endpoint')}?{urlencode(query)}"

    def close(self) -> None:
        """Close the connections that FranceConnect kept open for the next login."""
        self._transport.close()

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            self._config.client_id,
            self._config.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope=SCOPE,
            redirect_uri=self._redirect_uri,
            transport=self._transport,
            timeout=self._timeout,
            # Authlib holds a token for expired this long before it is; FranceConnect's live a minute.
            leeway=0,
            headers={"Accept-Encoding": "identity"},
        )

    def _fetch_id_token(self, client: OAuth2Client, code: str) -> str:
        try:
            answer = client.fetch_token(self._endpoint("token_endpoint"), grant_type="authorization_code", code=code)
        except OAuthError as error:
            # A code serves once and lives for seconds: a reloaded page ends here.
            raise AccordError("login_refused") if error.error == "invalid_grant" else _invalid("token") from None
        except httpx2.HTTPError:
            raise AccordError("franceconnect_unreachable") from None
        except _MALFORMED:
            raise _invalid("token") from None
        id_token = answer.get("id_token")
        if not isinstance(id_token, str) or str(answer.get("token_type")).lower() != "bearer":
            raise _invalid("token")
        return id_token

    def _identity(self, client: OAuth2Client, *, subject: object) -> PivotIdentity:
        claims = self._verified(
            self._get(client, self._endpoint("userinfo_endpoint"), withhold_token=False).decode("ascii", "replace"),
            check="userinfo",
            essential=("iss", "sub", "aud"),
        )
        # OpenID Connect Core section 5.3.2: a userinfo of another subject must not be used.
        if claims["sub"] != subject:
            raise _invalid("userinfo sub")
        try:
            return PivotIdentity.from_claims(claims)
        except InvalidValue as error:
            raise AccordError("identity_incomplete", field=error.field) from None

    def _verified(self, token: str, *, check: str, essential: tuple[str, ...]) -> Mapping[str, object]:
        """The claims of a token of FranceConnect's for us, signed and in time."""
        if len(token) > _TOKEN_LIMIT:
            raise _invalid(check)
        try:
            kid = jws.extract_compact(token.strip().encode()).headers().get("kid")
            claims = json.loads(signed_payload(token.strip(), self._known_keys(wanted=kid)))
            if not isinstance(claims, dict):
                raise _invalid(check)
            self._registry(essential).validate(claims)
        except _MALFORMED:
            raise _invalid(check) from None
        return claims

    def _registry(self, essential: tuple[str, ...]) -> JWTClaimsRegistry:
        options: dict[str, dict[str, object]] = {name: {"essential": True} for name in essential}
        options["iss"]["value"] = self._config.issuer
        options["aud"]["value"] = self._config.client_id
        return JWTClaimsRegistry(now=int(self._clock()), leeway=LEEWAY, **options)  # type: ignore[arg-type]

    def _known_keys(self, *, wanted: object) -> Mapping[str, object]:
        """FranceConnect's keys, fetched again when one is unknown, but at most once per pause."""
        with self._keys_lock:
            cached = self._keys
            if cached is None or (
                all(key.get("kid") != wanted for key in _listed(cached.content))
                and self._clock() - cached.at >= KEYS_PAUSE
            ):
                self._keys = cached = _Cached(self._document(self._endpoint("jwks_uri")), self._clock())
        return cached.content

    def _endpoint(self, name: str) -> str:
        """An endpoint of the discovery document (OpenID Connect Discovery 1.0), which is kept for an hour."""
        with self._discovery_lock:
            cached = self._discovery
            if cached is None or self._clock() - cached.at > DISCOVERY_LIFETIME:
                document = self._document(f"{self._config.issuer}/.well-known/openid-configuration")
                cached = _Cached(_checked_discovery(document, issuer=self._config.issuer), self._clock())
                self._discovery = cached
        return str(cached.content[name])

    def _document(self, url: str) -> Mapping[str, object]:
        try:
            document = json.loads(self._get(self._client(), url, withhold_token=True))
        except ValueError:
            raise _invalid("json") from None
        if not isinstance(document, dict):
            raise _invalid("json")
        return document

    @staticmethod
    def _get(client: OAuth2Client, url: str, *, withhold_token: bool) -> bytes:
        try:
            answer = client.request("GET", url, withhold_token=withhold_token)
        except httpx2.HTTPError:
            raise AccordError("franceconnect_unreachable") from None
        except _MALFORMED:
            raise _invalid("token") from None
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise AccordError("franceconnect_unreachable")
        if answer.status_code != httpx2.codes.OK:
            raise _invalid("status")
        content: bytes = answer.content
        return content


def signed_payload(token: str, jwks: Mapping[str, object]) -> bytes:
    """What the one key that ``kid`` names signed, under ES256 or RS256. Raises ``AccordError`` or a joserfc error."""
    header = jws.extract_compact(token.encode()).headers()
    found = [key for key in _listed(jwks) if key.get("kid") == header.get("kid")]
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"alg: must be {' or '.join(ALGORITHMS)}")
    if not isinstance(header.get("kid"), str) or len(found) != 1:
        raise _invalid("kid")
    check_fit(found[0], algorithm=algorithm)
    key = JWKRegistry.import_key(found[0])  # type: ignore[arg-type]
    return jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload


def _checked_discovery(document: Mapping[str, object], *, issuer: str) -> Mapping[str, object]:
    """The issuer must be the one asked, and every endpoint must be at its origin: nothing leads elsewhere."""
    if document.get("issuer") != issuer:
        raise _invalid("discovery issuer")
    for name in _ENDPOINTS:
        endpoint = document.get(name)
        if not isinstance(endpoint, str) or origin(endpoint) != origin(issuer):
            raise _invalid(f"discovery {name}")
    return document


def _listed(keys: Mapping[str, object]) -> list[Mapping[str, object]]:
    listed = keys.get("keys")
    return [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []


def _invalid(check: str) -> AccordError:
    return AccordError("franceconnect_answer_invalid", check=check)
