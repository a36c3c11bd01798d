"""What consent needs of the others and ``exchange`` fills: catalogue, registry, log, accesses, the gateways' feed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from consent.model import Client, DatasetNotice, Detail
from openapi.fields import Siret

EventValue: TypeAlias = str | int | list[str]


@dataclass(frozen=True, slots=True)
class Permit:
    """The habilitation allows the request. The notice shows these words."""

    purpose: Mapping[str, str]
    """Label of the purpose by language."""
    legal_basis: str
    valid_until: int
    """Unix seconds; no grant outlives its habilitation."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The habilitation does not allow it; ``slug`` names the reason in the registry of problems."""

    slug: str
    facts: Mapping[str, str | int | tuple[str, ...]]


class Catalogue(Protocol):
    """The datasets."""

    def notice(self, dataset: str) -> DatasetNotice | None:
        """The dataset in words; ``None`` when it is not offered."""
        ...

    def datasets(self) -> Sequence[str]:
        """The names of those offered."""
        ...


class Registry(Protocol):
    """The registered applications and what their organisations may ask for."""

    def client(self, client_id: str) -> Client | None:
        """The registered application."""
        ...

    def decide(self, client: Client, detail: Detail, *, now: int) -> Permit | Refusal:
        """Whether a citizen may be asked for this."""
        ...

    def organisation_name(self, siret: Siret) -> str | None:
        """The organisation's name."""
        ...


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """Something to log: ``grant.given``, ``grant.refused``, or a change that ``consent.model.EVENTS`` names."""

    kind: str
    grant_id: str
    citizen: str
    client_id: str
    recipient: Siret
    details: tuple[Detail, ...]
    legal_basis: str
    acr: str


class Journal(Protocol):
    """The log. Blocking, durable on return; raises ``AccordError('log_unavailable')`` when it is not.

    ``grant.withdrawn`` and ``grant.expired`` close the grant in the same commit: no access entry can stand after.
    """

    def record(self, event: ConsentEvent) -> int:
        """Append the event, return its index."""
        ...


@dataclass(frozen=True, slots=True)
class AccessView:
    """One access as the citizen sees it. ``time`` is RFC 3339; ``outcome`` is ``ok`` or a problem's slug.

    ``rules``: the texts of the rules that were answered. Of the fields that they are about, which ``fields`` names
    too, nothing else left.
    """

    index: int
    access_id: str
    time: str
    dataset: str
    fields: Sequence[str]
    recipient: str
    client_id: str
    purpose: str
    legal_basis: str
    outcome: str
    grant_id: str
    rules: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AccessPage:
    """Some of a citizen's accesses, newest first. ``older``: look on below this index; ``None`` at the end.

    A search looks through a bounded number of entries, so that a page may hold few or none and still have older ones.
    """

    views: Sequence[AccessView]
    older: int | None


@dataclass(frozen=True, slots=True)
class ProofFile:
    """An entry about a citizen, what opens its seal (``salt`` in hexadecimal) and a C2SP ``tlog-proof``."""

    index: int
    entry: str
    salt: str
    detail: str
    proof: str


@dataclass(frozen=True, slots=True)
class Export:
    """Every entry about a citizen, of every kind, newest first. Reading on raises ``AccordError('log_unavailable')``.

    ``checkpoint``: the signed note that all the proofs lead to; empty while the log is.
    """

    checkpoint: str
    entries: Iterator[ProofFile]


class Accesses(Protocol):
    """A citizen's accesses, newest first."""

    def of(
        self,
        citizen: str,
        *,
        before: int | None = None,
        limit: int = 50,
        recipient: Siret | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> AccessPage:
        """Those with an index below ``before``, at most ``limit``: by ``recipient``, from ``since``, before ``until``.

        Times are Unix seconds.
        """
        ...

    def proof(self, citizen: str, index: int) -> bytes | None:
        """A JSON file with the entry, its opening and a C2SP ``tlog-proof``; ``None`` if it is not hers."""
        ...

    def export(self, citizen: str) -> Export:
        """All that the log holds about her."""
        ...


class GrantFeed(Protocol):
    """Told at once of a change in this process; other processes learn of it by their own feed."""

    def changed(self, status_index: int, status: int) -> None:
        """The grant with this status index has another status (``consent.status``)."""
        ...
