"""What the gateway decides on: plain values, no I/O. Times are Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from audit.auditors import Auditor
from audit.model import DetailValue, EntryValue
from consent.model import Client, Detail
from openapi.fields import PivotIdentity, Siret
from openapi.problem import Fact
from openapi.rules import Rule

GroundKind: TypeAlias = Literal["consent", "franceconnect", "agent", "application", "company"]
"""A consent token; the citizen's FranceConnect token; an agent who says why; the application's own procedure, recorded
as such; for datasets about companies, the habilitation itself with context and object."""


@dataclass(frozen=True, slots=True)
class Habilitation:
    """What one organisation may ask for in one dataset, for which purposes, from when until when."""

    id: str
    organisation: Siret
    clients: frozenset[str]
    """The applications it covers; empty means every application of the organisation."""
    dataset: str
    fields: frozenset[str]
    purposes: Mapping[str, Mapping[str, str]]
    """Purpose code -> its words by language."""
    legal_basis: str
    valid_from: int
    valid_until: int
    """First second after its end."""
    datapass: str | None = None
    grounds: frozenset[GroundKind] = frozenset({"consent"})
    """On what an access under it may rest."""
    derived_only: frozenset[str] = frozenset()
    """Fields that rules may be about and that never leave as they are."""

    @property
    def answerable(self) -> frozenset[str]:
        """Fields that rules may be about."""
        return self.fields | self.derived_only


@dataclass(frozen=True, slots=True)
class Delegation:
    """An organisation lets another's applications ask for it: an editor's, a mutualisation structure's."""

    id: str
    organisation: Siret
    """Who receives the data, and under whose habilitations it is asked for."""
    delegate: Siret
    """Whose applications ask."""
    datasets: frozenset[str]
    """Empty means every dataset."""
    valid_from: int
    valid_until: int
    """First second after its end."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry as a gateway holds it in memory; a load of the file makes a new one."""

    version: int
    organisations: Mapping[Siret, str]
    clients: Mapping[str, Client]
    habilitations: Mapping[tuple[Siret, str], tuple[Habilitation, ...]] = field(default_factory=dict)
    """By organisation and dataset."""
    auditors: Mapping[str, Auditor] = field(default_factory=dict)
    """Who may read the log, by subject."""
    machines: Mapping[str, Auditor] = field(default_factory=dict)
    """Those of them that are programs, by the SHA-256 of their token, in hexadecimal."""
    delegations: Mapping[str, Delegation] = field(default_factory=dict)
    """By id."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``client_id`` by the SHA-256 of the application's own access token, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class ConsentToken:
    """A consent token that was verified: its claims, and the identity that only gateways can open."""

    client_id: str
    grant_id: str
    acr: str
    status_index: int
    details: Mapping[str, Detail]
    """By dataset."""
    citizen: str
    """The log's pseudonym."""
    identity: PivotIdentity
    jkt: str | None = None
    """The key it is bound to: ``cnf.jkt`` (RFC 9449 section 6.1)."""
    certificate: str | None = None
    """The certificate it is bound to: ``cnf.x5t#S256`` (RFC 8705 section 3.1)."""

    def __repr__(self) -> str:
        return f"ConsentToken({self.grant_id})"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of who asks and about whom, as the log says it: the public part and the sealed one."""

    public: Mapping[str, EntryValue] = field(default_factory=dict)
    sealed: Mapping[str, DetailValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """On what an access rests, through whichever door it came: the log's words for it, and the keys of its commit."""

    about: About
    """With ``client``, ``recipient``, ``purpose`` and ``legal_basis`` in its public part."""
    spends: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """Of the problem, when the commit itself refuses."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The exchange may not go on; ``slug`` names the reason in the registry of problems."""

    slug: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in, bounded and parsed. Holds names that the catalogue knows, or under ``derived``."""

    request_id: str
    dataset: str = ""
    """Empty: unknown."""
    fields: tuple[str, ...] = ()
    """Empty, and nothing under ``derived``: all that was consented."""
    token: bytes = field(default=b"", repr=False)
    is_dpop: bool = False
    """Whether the token came under the ``DPoP`` scheme rather than ``Bearer``."""
    proofs: tuple[str, ...] = field(default=(), repr=False)
    fault: Refusal | None = None
    """What is wrong with the request itself, found before anything was checked."""
    franceconnect_token: str | None = field(default=None, repr=False)
    """The citizen's own, for a holder that knows her by it alone."""
    derived: tuple[str, ...] = field(default=(), repr=False)
    """What may be names of derived answers: the caller's own words, which the log must not repeat."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the manifest's, as the caller gave them: for the holder and nobody else."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The exchange may go on, with these fields and the answers to these rules."""

    fields: tuple[str, ...]
    detail: Detail
    habilitation: Habilitation
    rules: tuple[Rule, ...] = ()
