"""What the log's pages and routes need from outside; ``exchange`` fills it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from audit.auditors import Auditor
from audit.filters import Filter
from openapi.problem import Fact, Language


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what must come back with it."""

    url: str
    state: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Agent:
    """A public agent who came back from the identity provider."""

    subject: str
    """A keyed pseudonym of the provider's ``sub``: what the registry names and the log may hold."""
    name: str
    """How the page calls her; kept by her browser alone."""
    id_token: str
    """The provider's, for its logout."""

    def __repr__(self) -> str:
        return "Agent(...)"


class AgentLogin(Protocol):
    """The identity provider of public agents (ProConnect). Raises ``AccordError``."""

    def depart(self) -> Departure:
        """The start of a login."""
        ...

    def authenticate(self, *, code: str, nonce: str) -> Agent:
        """Exchange the code for who the agent is."""
        ...

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        """The provider's end of session."""
        ...


class AuditorRegistry(Protocol):
    """Who is an auditor here."""

    def auditor(self, subject: str) -> Auditor | None:
        """Her role; ``None`` for anybody else."""
        ...

    def machine(self, token: str) -> Auditor | None:
        """The role of a program, by its bearer token; ``None`` for anybody else."""
        ...


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a reader does with the log; it is an entry before she is answered."""

    act: str
    """``search``, ``entry``, ``export``, ``feed``, ``count``, ``patterns``, ``bundle``."""
    reader: Auditor
    asked: Filter
    """Narrowed to what she may see."""
    facts: Mapping[str, Fact]
    """What else is said of it: a format, an index."""


class ReadingJournal(Protocol):
    """Writes acts of readers into the log."""

    def record(self, act: Act) -> int:
        """The index of the entry, durable on return. Raises ``AccordError('log_unavailable')``."""
        ...


class Names(Protocol):
    """Words for what entries name by code, and what there is to name: from the registry and the catalogue."""

    def organisation(self, siret: str) -> str | None:
        """An organisation's name."""
        ...

    def dataset(self, name: str, language: Language) -> str | None:
        """A dataset's title."""
        ...

    def field(self, name: str, language: Language) -> str | None:
        """A field's label."""
        ...

    def offered(self, parameter: str, *, organisation: str | None) -> Collection[str]:
        """Values of a filter's parameter to choose from. With an organisation, no more than what is said of that one.

        Never of the log: what entries hold is read by an act that is an entry itself.
        """
        ...


class Sealer(Protocol):
    """Seals small JSON objects for the browser to keep (encrypted, authenticated, expiring)."""

    def seal(self, content: Mapping[str, object], *, lifetime: int) -> str:
        """Opens for ``lifetime`` seconds."""
        ...

    def open(self, sealed: str | None) -> Mapping[str, object] | None:
        """The content; ``None`` when missing, altered or expired."""
        ...
