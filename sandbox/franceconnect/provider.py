"""FranceConnect's own side of a login: people with a pivot identity, pairwise subjects, and tokens told to others."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from joserfc import jws

from sandbox.franceconnect.authorize import Rules
from sandbox.franceconnect.checktoken import INACTIVE, PARAMETERS, active, encrypted
from sandbox.franceconnect.federation import ALGORITHM, CODE_SECONDS, TOKEN_SECONDS, Federation, TokenRefused
from sandbox.franceconnect.people import CLAIMS_BY_SCOPE, DataProvider, Partner, Person, identity_claims

__all__ = ["CODE_SECONDS", "TOKEN_SECONDS", "Provider"]


class Provider(Federation[Person]):
    """The stand-in's state. Owned by one event loop, which is what guards it."""

    name = "FranceConnect"
    subject_type = "pairwise"
    claims_by_scope = CLAIMS_BY_SCOPE

    def __init__(
        self,
        issuer: str,
        *,
        partners: Iterable[Partner],
        people: Iterable[Person],
        data_providers: Iterable[DataProvider] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.data_providers: Mapping[str, DataProvider] = {one.client_id: one for one in data_providers}
        scopes = frozenset(CLAIMS_BY_SCOPE).union(*(one.scopes for one in self.data_providers.values()))
        super().__init__(issuer, partners=partners, people=people, rules=Rules(scopes), clock=clock)
        self._pairwise_key = secrets.token_bytes(32)

    def identity_claims(self, person: Person, scopes: Collection[str]) -> Mapping[str, object]:
        """The pivot identity's claims that ``scopes`` open."""
        return identity_claims(person.identity, tuple(scopes))

    def subject(self, person: Person, client_id: str) -> str:
        """Pairwise: partners cannot compare their users. 64 hexadecimal digits, then the version ``v1``."""
        identity = json.dumps(person.identity.to_claims(), sort_keys=True)
        message = f"{client_id}\n{identity}".encode()
        return hmac.new(self._pairwise_key, message, hashlib.sha256).hexdigest() + "v1"

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
        header = {"alg": ALGORITHM, "kid": self._kid}
        signed = jws.serialize_compact(header, json.dumps(payload), self._key, algorithms=[ALGORITHM])
        return encrypted(signed, asking)

    def _introspection(self, token: str, asking: DataProvider) -> Mapping[str, object]:
        issued = self._tokens.get(token)
        if issued is None:
            return INACTIVE
        login, person = issued.done.login, issued.done.person
        return active(
            person.identity,
            token=token,
            subject=self.subject(person, asking.client_id),
            partner=login.partner.client_id,
            scopes=tuple(scope for scope in login.scopes if scope in asking.scopes),
            issued_at=issued.at,
            life=TOKEN_SECONDS,
        )
