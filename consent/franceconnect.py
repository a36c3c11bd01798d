"""FranceConnect v2, with Accord as relying party: who the citizen is.

The protocol is :mod:`consent.relying_party`'s; here is what FranceConnect is asked for and how its claims are read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent.config import FranceConnectConfig
from consent.franceconnect_keys import SLUGS
from consent.outbound import TIMEOUT
from consent.relying_party import Departure, RelyingParty, Terms
from openapi.fields import InvalidValue, PivotIdentity
from openapi.problem import AccordError

__all__ = ["ACCEPTED_ACR", "ACR", "SCOPE", "Authentication", "Departure", "FranceConnect"]

SCOPE = "openid given_name family_name birthdate gender birthplace birthcountry preferred_username"
ACR = "eidas1"
ACCEPTED_ACR = frozenset({"eidas1", "eidas2", "eidas3"})


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who came back. ``id_token`` serves FranceConnect's logout and nothing else."""

    identity: PivotIdentity
    acr: str
    id_token: str

    def __repr__(self) -> str:
        return "Authentication(...)"


class FranceConnect(RelyingParty):
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
        terms = Terms(SCOPE, ACR, ACCEPTED_ACR, SLUGS)
        super().__init__(config, terms, redirect_uri=redirect_uri, clock=clock, timeout=timeout)

    def authenticate(self, *, code: str, nonce: str) -> Authentication:
        """Exchange the code for who the citizen is. ``nonce`` is the one of the departure."""
        arrival = self.arrive(code=code, nonce=nonce)
        try:
            identity = PivotIdentity.from_claims(arrival.claims)
        except InvalidValue as error:
            raise AccordError("identity_incomplete", field=error.field) from None
        return Authentication(identity, arrival.acr, arrival.id_token)
