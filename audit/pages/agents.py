"""The identity provider of agents, and its origin, which pages with a logout must let their form end at.

The port has no name for the origin: it is that of the addresses which the provider's own documents give. It never
changes while a process runs, so it is asked for once; a provider that does not answer is not waited for again soon.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from audit.door import Visit
from audit.ports import Agent, AgentLogin, Departure
from openapi.problem import AccordError

PAUSE = 60
"""Seconds before a provider that did not answer is asked for its origin again."""


class AgentProvider:
    """Shared by the request threads: what they might both write is the same."""

    def __init__(self, login: AgentLogin, *, clock: Callable[[], float]) -> None:
        self._login = login
        self._clock = clock
        self._origin = ""
        self._asked_at: float | None = None

    def depart(self) -> Departure:
        """The start of a login. Raises ``AccordError``."""
        departure = self._login.depart()
        self._origin = _origin(departure.url)
        return departure

    def authenticate(self, *, code: str, nonce: str) -> Agent:
        """Who came back. Raises ``AccordError``."""
        return self._login.authenticate(code=code, nonce=nonce)

    def farewell(self, visit: Visit, *, landing: str, issuer: str) -> str:
        """The provider's logout, then our page; ours alone when the provider is down: the agent leaves anyway."""
        if visit.id_token is None:
            return landing
        try:
            return self._login.logout_url(visit.id_token, return_to=issuer + landing)
        except AccordError:
            return landing

    def origin_for(self, visit: Visit | None) -> str:
        """Where a logout may lead, as a Content-Security-Policy names it; nothing for who has none to make there."""
        if visit is None or visit.id_token is None:
            return ""
        if not self._origin and (self._asked_at is None or self._clock() - self._asked_at >= PAUSE):
            self._asked_at = self._clock()
            url = self.farewell(visit, landing="", issuer="")
            self._origin = _origin(url) if url else ""
        return self._origin


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
