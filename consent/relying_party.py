"""Accord as relying party of a State identity provider (OpenID Connect Core 1.0, code flow).

FranceConnect (citizens) and ProConnect (public agents) speak alike: the ID token and the userinfo are both signed JWTs,
checked with explicit algorithms against the provider's keys, and must speak of the same ``sub``. Both refuse a request
parameter that they do not list, so PKCE is not sent; the nonce and the state bind the answer to the browser instead.
What differs is in :class:`Terms`, and who the claims are about is for the caller to say.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from consent.config import PartnerConfig
from consent.discovery import MALFORMED, ProviderKeys, Slugs
from consent.outbound import TIMEOUT, BoundedTransport, check_transport
from openapi.problem import AccordError


@dataclass(frozen=True, slots=True)
class Terms:
    """What one provider is asked for, what is accepted of it, and how its failures are called."""

    scope: str
    acr_values: str
    accepted_acr: frozenset[str]
    slugs: Slugs


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what must come back with it."""

    url: str
    state: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who logged in. ``repr`` shows nothing."""

    claims: Mapping[str, object]
    """The userinfo's, verified; ``sub`` is a string."""
    acr: str
    id_token: str
    """For the provider's logout and nothing else."""

    def __repr__(self) -> str:
        return "Arrival(...)"


class RelyingParty:
    """One relying party, shared by the request threads.

    Raises :class:`AccordError` with the slugs of its terms: unreachable, answer invalid with the check that failed, or
    refused when the code is not good any more.
    """

    def __init__(
        self,
        config: PartnerConfig,
        terms: Terms,
        *,
        redirect_uri: str,
        clock: Callable[[], float],
        timeout: float = TIMEOUT,
    ) -> None:
        check_transport(config.issuer)
        self._config = config
        self._terms = terms
        self._redirect_uri = redirect_uri
        self._timeout = timeout
        self._transport = BoundedTransport(timeout)
        self._published = ProviderKeys(config.issuer, self._transport, slugs=terms.slugs, clock=clock, timeout=timeout)

    def depart(self) -> Departure:
        """The start of a login: the provider's address with a fresh state and nonce."""
        state, nonce = token_urlsafe(32), token_urlsafe(32)
        url, _ = self._client().create_authorization_url(
            self._published.endpoint("authorization_endpoint"),
            state=state,
            nonce=nonce,
            acr_values=self._terms.acr_values,
        )
        return Departure(url, state, nonce)

    def arrive(self, *, code: str, nonce: str) -> Arrival:
        """Exchange the code for who came back. ``nonce`` is the one of the departure."""
        # A client per login: Authlib keeps the access token on the client, and threads must not swap them.
        client = self._client()
        id_token = self._fetch_id_token(client, code)
        claims = self._verified(id_token, check="id_token", essential=("iss", "sub", "aud", "exp", "iat", "nonce"))
        if not hmac.compare_digest(str(claims["nonce"]).encode(errors="replace"), nonce.encode()):
            raise self._terms.slugs.invalid("nonce")
        acr = claims.get("acr")
        if not isinstance(acr, str) or acr not in self._terms.accepted_acr:
            raise self._terms.slugs.invalid("acr")
        return Arrival(self._userinfo(client, subject=claims["sub"]), acr, id_token)

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        """The provider's end of session; without ``id_token_hint`` it refuses (RP-Initiated Logout 1.0)."""
        query = {"id_token_hint": id_token, "state": token_urlsafe(32), "post_logout_redirect_uri": return_to}
        return f"{self._published.endpoint('end_session_endpoint')}?{urlencode(query)}"

    def close(self) -> None:
        """Close the connections that the provider kept open for the next login."""
        self._transport.close()

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            self._config.client_id,
            self._config.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope=self._terms.scope,
            redirect_uri=self._redirect_uri,
            transport=self._transport,
            timeout=self._timeout,
            # Authlib holds a token for expired this long before it is; theirs live a minute.
            leeway=0,
            headers={"Accept-Encoding": "identity"},
        )

    def _fetch_id_token(self, client: OAuth2Client, code: str) -> str:
        slugs = self._terms.slugs
        try:
            answer = client.fetch_token(
                self._published.endpoint("token_endpoint"), grant_type="authorization_code", code=code
            )
        except OAuthError as error:
            # A code serves once and lives for seconds: a reloaded page ends here.
            raise (AccordError(slugs.refused) if error.error == "invalid_grant" else slugs.invalid("token")) from None
        except httpx2.HTTPError:
            raise slugs.absent() from None
        except MALFORMED:
            raise slugs.invalid("token") from None
        id_token = answer.get("id_token")
        if not isinstance(id_token, str) or str(answer.get("token_type")).lower() != "bearer":
            raise slugs.invalid("token")
        return id_token

    def _userinfo(self, client: OAuth2Client, *, subject: object) -> Mapping[str, object]:
        claims = self._verified(
            self._get(client, self._published.endpoint("userinfo_endpoint")).decode("ascii", "replace"),
            check="userinfo",
            essential=("iss", "sub", "aud"),
        )
        # OpenID Connect Core section 5.3.2: a userinfo of another subject must not be used.
        if not isinstance(subject, str) or claims["sub"] != subject:
            raise self._terms.slugs.invalid("userinfo sub")
        return claims

    def _verified(self, token: str, *, check: str, essential: tuple[str, ...]) -> Mapping[str, object]:
        return self._published.claims(token, audience=self._config.client_id, check=check, essential=essential)

    def _get(self, client: OAuth2Client, url: str) -> bytes:
        try:
            return self._terms.slugs.content_of(client.request("GET", url))
        except httpx2.HTTPError:
            raise self._terms.slugs.absent() from None
        except MALFORMED:
            raise self._terms.slugs.invalid("token") from None
