"""ProConnect's own side of a login: public agents, one subject for every partner, and its closed list of parameters."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from sandbox.franceconnect.authorize import Rules
from sandbox.franceconnect.federation import Federation
from sandbox.franceconnect.people import Partner
from sandbox.proconnect.agents import Agent

CLAIMS_BY_SCOPE: Mapping[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "given_name": ("given_name",),
    "usual_name": ("usual_name",),
    "siret": ("siret",),
}
"""ProConnect's table of scopes, without ``email``, ``phone`` and the like: the test agents have none."""

RULES = Rules(
    frozenset(CLAIMS_BY_SCOPE), optional=("claims", "prompt", "idp_hint", "login_hint", "siret_hint"), shortest_nonce=32
)


class Provider(Federation[Agent]):
    """The stand-in's state. Owned by one event loop, which is what guards it."""

    name = "ProConnect"
    subject_type = "public"
    claims_by_scope = CLAIMS_BY_SCOPE

    def __init__(
        self,
        issuer: str,
        *,
        partners: Iterable[Partner],
        people: Iterable[Agent],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(issuer, partners=partners, people=people, rules=RULES, clock=clock)

    def identity_claims(self, person: Agent, scopes: Collection[str]) -> Mapping[str, object]:
        """Her names and her employer, as far as ``scopes`` open them."""
        claims = {"given_name": person.given_name, "usual_name": person.usual_name, "siret": person.siret}
        opened = {name for scope in scopes for name in CLAIMS_BY_SCOPE.get(scope, ())}
        return {name: value for name, value in claims.items() if name in opened}

    def subject(self, person: Agent, client_id: str) -> str:  # noqa: ARG002  # public, whoever asks
        """Her one ``sub``."""
        return person.sub
