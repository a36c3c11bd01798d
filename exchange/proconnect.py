"""ProConnect v2, with Accord as relying party: who the auditor or the operator is.

The protocol is :mod:`consent.relying_party`'s; here is what ProConnect is asked for and how its claims are read. Anyone
who works in France may have an account there: the login says who she is, the registry alone whether she is let in. She
is known by a keyed pseudonym of ProConnect's ``sub``; her name goes to her own browser and nowhere else.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

from audit.ports import Agent, Departure
from consent.config import PartnerConfig
from consent.discovery import Slugs
from consent.outbound import TIMEOUT
from consent.relying_party import RelyingParty, Terms

SCOPE = "openid given_name usual_name siret"
"""Without ``email``: nothing here writes to her."""
ACR = "eidas1"
ACCEPTED_ACR = frozenset({"eidas1", "eidas1-mfa", "eidas2", "eidas3"})
"""``eidas0``, an identity that nobody checked, is not enough to read the log."""
SLUGS = Slugs(
    unreachable="proconnect_unreachable", answer_invalid="proconnect_answer_invalid", refused="agent_login_refused"
)

_TERMS = Terms(SCOPE, ACR, ACCEPTED_ACR, SLUGS)
_LONGEST_NAME = 256
_LONGEST_SHOWN = 100
_SUB = re.compile(r"[\x21-\x7e]{1,256}\Z")


class ProConnect:
    """``audit.ports.AgentLogin``: one relying party, shared by the request threads.

    ``pseudonym_key`` is the deployment's, as for citizens. Raises :class:`AccordError`: ``proconnect_unreachable``,
    ``proconnect_answer_invalid`` with the check that failed, or ``agent_login_refused``.
    """

    def __init__(
        self,
        config: PartnerConfig,
        *,
        redirect_uri: str,
        pseudonym_key: bytes,
        clock: Callable[[], float],
        timeout: float = TIMEOUT,
    ) -> None:
        self._issuer = config.issuer
        self._pseudonym_key = pseudonym_key
        self._party = RelyingParty(config, _TERMS, redirect_uri=redirect_uri, clock=clock, timeout=timeout)

    def depart(self) -> Departure:
        """The start of a login: ProConnect's address with a fresh state and nonce."""
        departure = self._party.depart()
        return Departure(departure.url, departure.state, departure.nonce)

    def authenticate(self, *, code: str, nonce: str) -> Agent:
        """Exchange the code for who the agent is. ``nonce`` is the one of the departure."""
        arrival = self._party.arrive(code=code, nonce=nonce)
        return Agent(
            subject=agent_subject(self._issuer, _sub(arrival.claims), self._pseudonym_key),
            name=_spoken_name(arrival.claims),
            id_token=arrival.id_token,
        )

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        """ProConnect's end of session; ``return_to`` must be registered there."""
        return self._party.logout_url(id_token, return_to=return_to)

    def close(self) -> None:
        """Close the connections that ProConnect kept open for the next login."""
        self._party.close()


def agent_subject(issuer: str, sub: str, key: bytes) -> str:
    """What the registry calls an agent: ``a_`` and 64 hexadecimal digits, a keyed HMAC-SHA-256 of who she is there.

    The same for every login of hers; nothing to anybody without the key, and never a citizen's pseudonym.
    """
    return "a_" + hmac.new(key, f"accord agent v1\0{issuer}\n{sub}".encode(), hashlib.sha256).hexdigest()


def _sub(claims: Mapping[str, object]) -> str:
    """At most 256 ASCII characters, as ProConnect promises (OpenID Connect Core section 2 allows 255)."""
    sub = claims["sub"]
    if not isinstance(sub, str) or not _SUB.match(sub):
        raise SLUGS.invalid("userinfo sub")
    return sub


def _spoken_name(claims: Mapping[str, object]) -> str:
    return " ".join(_shown(claims, name) for name in ("given_name", "usual_name"))[:_LONGEST_SHOWN]


def _shown(claims: Mapping[str, object], name: str) -> str:
    """A name as a page can show it: bounded, on one line, without control characters."""
    value = claims.get(name)
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable():
        raise SLUGS.invalid(f"userinfo {name}")
    return text
