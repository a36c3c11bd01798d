"""FranceConnect's side of a login: interactions, codes, tokens and signed answers. No HTTP.

Keys are made at start and live in memory only. Lifetimes are those FranceConnect publishes.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from sandbox.franceconnect.authorize import ACR, Login
from sandbox.franceconnect.checktoken import INACTIVE, PARAMETERS, active, encrypted
from sandbox.franceconnect.people import CLAIMS_BY_SCOPE, DataProvider, Partner, Person, identity_claims
from sandbox.shelf import Shelf

INTERACTION_SECONDS = 1800
CODE_SECONDS = 30
TOKEN_SECONDS = 60

_ALGORITHM = "ES256"


class TokenRefused(Exception):
    """The refusal of the token endpoint or of ``/checktoken``: an RFC 6749 section 5.2 error code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Authentication:
    """Someone logged in for a partner."""

    login: Login
    person: Person
    auth_time: int


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token's content, and when it was made (Unix seconds)."""

    done: Authentication
    at: int


class Provider:
    """The stand-in's state. Owned by one event loop, which is what guards it."""

    def __init__(
        self,
        issuer: str,
        *,
        partners: Iterable[Partner],
        people: Iterable[Person],
        data_providers: Iterable[DataProvider] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.partners: Mapping[str, Partner] = {partner.client_id: partner for partner in partners}
        self.data_providers: Mapping[str, DataProvider] = {one.client_id: one for one in data_providers}
        self.scopes = frozenset(CLAIMS_BY_SCOPE).union(*(one.scopes for one in self.data_providers.values()))
        self.people: Mapping[str, Person] = {person.key: person for person in people}
        self._clock = clock
        self._key = ECKey.generate_key("P-256", parameters={"use": "sig", "alg": _ALGORITHM})
        self._kid = self._key.thumbprint()
        self._pairwise_key = secrets.token_bytes(32)
        self._interactions: Shelf[Login] = Shelf(lifetime=INTERACTION_SECONDS, clock=clock)
        self._codes: Shelf[Authentication] = Shelf(lifetime=CODE_SECONDS, clock=clock)
        self._tokens: Shelf[Issued] = Shelf(lifetime=TOKEN_SECONDS, clock=clock)

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
            "subject_types_supported": ["pairwise"],
            "acr_values_supported": [ACR],
            "scopes_supported": sorted(self.scopes),
            "claims_supported": sorted({claim for claims in CLAIMS_BY_SCOPE.values() for claim in claims}),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
            "userinfo_signing_alg_values_supported": [_ALGORITHM],
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

    def authenticate(self, name: str, person: Person) -> str | None:
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
        return self._sign({**self._common_claims(done), **identity_claims(done.person.identity, done.login.scopes)})

    def checktoken(self, form: Mapping[str, str]) -> str:
        """Answer a data provider: an encrypted and signed introspection. Raises :class:`TokenRefused`."""
        if form.keys() != PARAMETERS or not all(form.values()):
            raise TokenRefused("invalid_request", "Required parameter missing or invalid.")
        asking = self.data_providers.get(form["client_id"])
        if asking is None or not hmac.compare_digest(asking.client_secret.encode(), form["client_secret"].encode()):
            raise TokenRefused("invalid_client", "Client authentication failed.")
        payload = {
            "token_introspection": self._introspection(form["token"], asking),
            "aud": asking.client_id,
            "iat": int(self._clock()),
            "iss": self.issuer,
        }
        # Unlike its other tokens' headers, this one's has no 'typ'.
        header = {"alg": _ALGORITHM, "kid": self._kid}
        signed = jws.serialize_compact(header, json.dumps(payload), self._key, algorithms=[_ALGORITHM])
        return encrypted(signed, asking)

    def _introspection(self, token: str, asking: DataProvider) -> Mapping[str, object]:
        issued = self._tokens.get(token)
        if issued is None:
            return INACTIVE
        login, person = issued.done.login, issued.done.person
        return active(
            person.identity,
            token=token,
            subject=self._subject(person, asking.client_id),
            partner=login.partner.client_id,
            scopes=tuple(scope for scope in login.scopes if scope in asking.scopes),
            issued_at=issued.at,
            life=TOKEN_SECONDS,
        )

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

    def _id_token_claims(self, done: Authentication, access_token: str) -> dict[str, object]:
        half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
        return {
            **self._common_claims(done),
            "auth_time": done.auth_time,
            "acr": ACR,
            "nonce": done.login.nonce,
            "at_hash": urlsafe_b64encode(half).decode("ascii").rstrip("="),
        }

    def _common_claims(self, done: Authentication) -> dict[str, object]:
        now = int(self._clock())
        client_id = done.login.partner.client_id
        return {
            "sub": self._subject(done.person, client_id),
            "aud": client_id,
            "iss": self.issuer,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }

    def _subject(self, person: Person, client_id: str) -> str:
        """Pairwise: partners cannot compare their users. 64 hexadecimal digits, then the version ``v1``."""
        identity = json.dumps(person.identity.to_claims(), sort_keys=True)
        message = f"{client_id}\n{identity}".encode()
        return hmac.new(self._pairwise_key, message, hashlib.sha256).hexdigest() + "v1"

    def _partner_of_hint(self, hint: str) -> Partner | None:
        try:
            claims = jwt.decode(hint, self._key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        # An expired hint is welcome: people log out long after they logged in.
        return self.partners.get(claims["aud"]) if claims.get("iss") == self.issuer else None

    def _sign(self, claims: dict[str, object]) -> str:
        return jwt.encode({"alg": _ALGORITHM, "kid": self._kid}, claims, self._key, algorithms=[_ALGORITHM])


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """``url`` with ``parameters`` added to its query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
