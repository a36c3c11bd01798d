"""An identity federation's side of a login: interactions, codes, tokens and signed answers. No HTTP.

FranceConnect and ProConnect are two installations of one software; who logs in there, which claims a scope opens and
what a subject is differ, and are the subclass's. Keys are made at start and live in memory only. Lifetimes are those
that they publish.
"""

import hashlib
import hmac
import secrets
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from sandbox.franceconnect.authorize import ACR, Login, Rules
from sandbox.franceconnect.people import Partner
from sandbox.shelf import Shelf

INTERACTION_SECONDS = 1800
CODE_SECONDS = 30
TOKEN_SECONDS = 60
ALGORITHM = "ES256"


class TokenRefused(Exception):
    """The refusal of the token endpoint or of ``/checktoken``: an RFC 6749 section 5.2 error code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


class Someone(Protocol):
    """Whoever can be chosen on the login page."""

    @property
    def key(self) -> str:
        """Her name in the form."""
        ...

    @property
    def label(self) -> str:
        """What her button says."""
        ...


Who = TypeVar("Who", bound=Someone)


@dataclass(frozen=True, slots=True)
class Authentication(Generic[Who]):
    """Someone logged in for a partner."""

    login: Login
    person: Who
    auth_time: int


@dataclass(frozen=True, slots=True)
class Issued(Generic[Who]):
    """An access token's content, and when it was made (Unix seconds)."""

    done: Authentication[Who]
    at: int


class Federation(ABC, Generic[Who]):
    """The stand-in's state. Owned by one event loop, which is what guards it."""

    name: ClassVar[str]
    subject_type: ClassVar[str]
    claims_by_scope: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(
        self,
        issuer: str,
        *,
        partners: Iterable[Partner],
        people: Iterable[Who],
        rules: Rules,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.partners: Mapping[str, Partner] = {partner.client_id: partner for partner in partners}
        self.people: Mapping[str, Who] = {person.key: person for person in people}
        self.rules = rules
        self._clock = clock
        self._key = ECKey.generate_key("P-256", parameters={"use": "sig", "alg": ALGORITHM})
        self._kid = self._key.thumbprint()
        self._interactions: Shelf[Login] = Shelf(lifetime=INTERACTION_SECONDS, clock=clock)
        self._codes: Shelf[Authentication[Who]] = Shelf(lifetime=CODE_SECONDS, clock=clock)
        self._tokens: Shelf[Issued[Who]] = Shelf(lifetime=TOKEN_SECONDS, clock=clock)

    @abstractmethod
    def identity_claims(self, person: Who, scopes: Collection[str]) -> Mapping[str, object]:
        """The claims of her identity that ``scopes`` open, in userinfo's format."""

    @abstractmethod
    def subject(self, person: Who, client_id: str) -> str:
        """Her ``sub`` for a partner."""

    def metadata(self) -> dict[str, object]:
        """The discovery document (OpenID Connect Discovery section 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/session/end",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": [self.subject_type],
            "acr_values_supported": [ACR],
            "scopes_supported": sorted(self.rules.scopes),
            "claims_supported": sorted({claim for claims in self.claims_by_scope.values() for claim in claims}),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "userinfo_signing_alg_values_supported": [ALGORITHM],
            "claims_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }

    def jwks(self) -> dict[str, object]:
        """The public signing key as a JWK Set."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": self._kid}]}

    def open_interaction(self, login: Login) -> str:
        """Keep a sound request while the person chooses; return the interaction's name in the URL."""
        return self._interactions.put(login)

    def interaction(self, name: str) -> Login | None:
        """Return the request behind a login page, while it lives."""
        return self._interactions.get(name)

    def authenticate(self, name: str, person: Who) -> str | None:
        """``person`` logs in: the URL that takes her back with a code, or ``None`` for a dead interaction."""
        login = self._interactions.take(name)
        if login is None:
            return None
        code = self._codes.put(Authentication(login, person, int(self._clock())))
        return with_query(login.redirect_uri, {"code": code, "state": login.state})

    def abandon(self, name: str) -> str | None:
        """She gives up: the URL that tells the partner, or ``None`` for a dead interaction."""
        login = self._interactions.take(name)
        if login is None:
            return None
        refusal = {"error": "access_denied", "error_description": "User auth aborted", "state": login.state}
        return with_query(login.redirect_uri, refusal)

    def redeem(self, form: Mapping[str, str]) -> dict[str, object]:
        """Answer the token endpoint. Raises :class:`TokenRefused`. A code is used up even by a failed try."""
        partner = self._authenticate_partner(form)
        if form.get("grant_type") != "authorization_code":
            raise TokenRefused("unsupported_grant_type", "grant_type must be authorization_code")
        done = self._codes.take(form.get("code", ""))
        if done is None or done.login.partner != partner or done.login.redirect_uri != form.get("redirect_uri"):
            raise TokenRefused("invalid_grant", "grant request is invalid")
        access_token = self._tokens.put(Issued(done, int(self._clock())))
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "id_token": self._sign(self._id_token_claims(done, access_token)),
            "scope": " ".join(done.login.scopes),
        }

    def userinfo(self, access_token: str) -> str | None:
        """Return the identity as a signed JWT, or ``None`` for a dead token."""
        issued = self._tokens.get(access_token)
        if issued is None:
            return None
        done = issued.done
        return self._sign({**self._common_claims(done), **self.identity_claims(done.person, done.login.scopes)})

    def end_session(self, parameters: Mapping[str, str]) -> str | None:
        """Return the URL after logout, or ``None`` when the hint, the URL or the state is not right."""
        partner = self._partner_of_hint(parameters.get("id_token_hint", ""))
        target, state = parameters.get("post_logout_redirect_uri", ""), parameters.get("state", "")
        if partner is None or target not in partner.post_logout_redirect_uris or not state:
            return None
        return with_query(target, {"state": state})

    def _authenticate_partner(self, form: Mapping[str, str]) -> Partner:
        partner = self.partners.get(form.get("client_id", ""))
        expected = partner.client_secret if partner else secrets.token_hex(32)
        given = form.get("client_secret", "")
        if not hmac.compare_digest(expected.encode(), given.encode()) or partner is None:
            raise TokenRefused("invalid_client", "client authentication failed")
        return partner

    def _id_token_claims(self, done: Authentication[Who], access_token: str) -> dict[str, object]:
        half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
        return {
            **self._common_claims(done),
            "auth_time": done.auth_time,
            "acr": ACR,
            "nonce": done.login.nonce,
            "at_hash": urlsafe_b64encode(half).decode("ascii").rstrip("="),
        }

    def _common_claims(self, done: Authentication[Who]) -> dict[str, object]:
        now = int(self._clock())
        client_id = done.login.partner.client_id
        return {
            "sub": self.subject(done.person, client_id),
            "aud": client_id,
            "iss": self.issuer,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }

    def _partner_of_hint(self, hint: str) -> Partner | None:
        try:
            claims = jwt.decode(hint, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        # An expired hint is welcome: people log out long after they logged in.
        return self.partners.get(claims["aud"]) if claims.get("iss") == self.issuer else None

    def _sign(self, claims: dict[str, object]) -> str:
        return jwt.encode({"alg": ALGORITHM, "kid": self._kid}, claims, self._key, algorithms=[ALGORITHM])


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """``url`` with ``parameters`` added to its query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
