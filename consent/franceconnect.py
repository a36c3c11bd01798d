"""FranceConnect v2, with Accord as relying party (OpenID Connect Core 1.0, code flow).

Decides who the citizen is: the ID token and the userinfo are both signed JWTs, checked with explicit
algorithms against FranceConnect's keys, and must speak of the same ``sub``. FranceConnect refuses any request
parameter it does not list, PKCE's included; the nonce and the state bind the answer to the browser instead.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from consent.config import FranceConnectConfig
from consent.franceconnect_keys import MALFORMED, FranceConnectKeys, content_of, invalid
from consent.outbound import TIMEOUT, BoundedTransport, check_transport
from openapi.fields import InvalidValue, PivotIdentity
from openapi.problem import AccordError

SCOPE = "openid given_name family_name birthdate gender birthplace birthcountry preferred_username"
ACR = "eidas1"
ACCEPTED_ACR = frozenset({"eidas1", "eidas2", "eidas3"})


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


class FranceConnect:
    """One relying party, shared by the request threads.

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
        self._timeout = timeout
        self._transport = BoundedTransport(timeout)
        self._published = FranceConnectKeys(config.issuer, self._transport, clock=clock, timeout=timeout)

    def depart(self) -> Departure:
        """The start of a login: FranceConnect's address with a fresh state and nonce."""
        state, nonce = token_urlsafe(32), token_urlsafe(32)
        url, _ = self._client().create_authorization_url(
            self._published.endpoint("authorization_endpoint"), state=state, nonce=nonce, acr_values=ACR
        )
        return Departure(url, state, nonce)

    def authenticate(self, *, code: str, nonce: str) -> Authentication:
        """Exchange the code for who the citizen is. ``nonce`` is the one of the departure."""
        # A client per login: Authlib keeps the access token on the client, and threads must not swap them.
        client = self._client()
        id_token = self._fetch_id_token(client, code)
        claims = self._verified(id_token, check="id_token", essential=("iss", "sub", "aud", "exp", "iat", "nonce"))
        if not hmac.compare_digest(str(claims["nonce"]).encode(errors="replace"), nonce.encode()):
            raise invalid("nonce")
        acr = claims.get("acr")
        if not isinstance(acr, str) or acr not in ACCEPTED_ACR:
            raise invalid("acr")
        return Authentication(self._identity(client, subject=claims["sub"]), acr, id_token)

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        """FranceConnect's end of session; without ``id_token_hint`` it refuses (RP-Initiated Logout 1.0)."""
        query = {"id_token_hint": id_token, "state": token_urlsafe(32), "post_logout_redirect_uri": return_to}
        return f"{self._published.endpoint('end_session_endpoint')}?{urlencode(query)}"

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
            answer = client.fetch_token(
                self._published.endpoint("token_endpoint"), grant_type="authorization_code", code=code
            )
        except OAuthError as error:
            # A code serves once and lives for seconds: a reloaded page ends here.
            raise AccordError("login_refused") if error.error == "invalid_grant" else invalid("token") from None
        except httpx2.HTTPError:
            raise AccordError("franceconnect_unreachable") from None
        except MALFORMED:
            raise invalid("token") from None
        id_token = answer.get("id_token")
        if not isinstance(id_token, str) or str(answer.get("token_type")).lower() != "bearer":
            raise invalid("token")
        return id_token

    def _identity(self, client: OAuth2Client, *, subject: object) -> PivotIdentity:
        claims = self._verified(
            self._get(client, self._published.endpoint("userinfo_endpoint")).decode("ascii", "replace"),
            check="userinfo",
            essential=("iss", "sub", "aud"),
        )
        # OpenID Connect Core section 5.3.2: a userinfo of another subject must not be used.
        if claims["sub"] != subject:
            raise invalid("userinfo sub")
        try:
            return PivotIdentity.from_claims(claims)
        except InvalidValue as error:
            raise AccordError("identity_incomplete", field=error.field) from None

    def _verified(self, token: str, *, check: str, essential: tuple[str, ...]) -> Mapping[str, object]:
        return self._published.claims(token, audience=self._config.client_id, check=check, essential=essential)

    @staticmethod
    def _get(client: OAuth2Client, url: str) -> bytes:
        try:
            return content_of(client.request("GET", url))
        except httpx2.HTTPError:
            raise AccordError("franceconnect_unreachable") from None
        except MALFORMED:
            raise invalid("token") from None
