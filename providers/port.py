"""The port between a dataset's adapter and the rest.

An adapter turns a :class:`Query` into a request value, awaits ``send`` and reads the reply into an
:class:`Answer`. It does no I/O and knows no HTTP client.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from openapi.fields import PivotIdentity, Siren, Siret


class IdentityMissing(ValueError):
    """A dataset about a citizen was asked for without one, or one about a company without its number: our defect."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a holder, about a citizen or a company. ``recipient``: the SIRET the data is for.

    ``fields`` are the paths that may leave: nothing else of the holder's answer is read. ``repr`` shows nothing.
    """

    dataset: str
    recipient: Siret
    request_id: str
    fields: tuple[str, ...]
    identity: PivotIdentity | None = None
    """Of the citizen, when the dataset is about one."""
    company: Siret | Siren | None = None
    """When the dataset is about one; a SIRET serves where a SIREN is asked for."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the manifest's ``[parameters]`` ask for besides, checked against it."""
    identifier: str | None = None
    """Which of ``parameters`` the holder is asked by, in the place of an identity: without one, no answer is held
    against anybody. None: by the identity."""
    context: str = ""
    object: str = ""
    """Why a company's data is asked for, as API Entreprise wants it: kind of procedure, and its name or number."""
    franceconnect_token: str | None = None
    """The citizen's own FranceConnect access token, for holders that check it themselves."""
    status_index: int | None = None
    """Of the citizen's authorisation in the status list. What is kept of the answer goes with it; without, none is."""

    def __repr__(self) -> str:
        return f"Query({self.dataset})"


@dataclass(frozen=True, slots=True)
class HolderRequest:
    """A GET to the holder: path below its base URL, query pairs, own headers. Secrets are added by the transport.

    ``repr`` shows nothing.
    """

    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return "HolderRequest(...)"


@dataclass(frozen=True, slots=True)
class HolderReply:
    """What came back: status, headers with lower-case names, the whole body (bounded by the transport)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The holder's record, checked against the manifest: nested objects keyed as the field paths are."""

    record: Mapping[str, object]
    retrieved_at: int
    """Unix time in seconds."""
    links: Mapping[str, object] = field(default_factory=dict)
    meta: Mapping[str, object] = field(default_factory=dict)
    """Those of the holder's ``links`` and ``meta`` that the manifest names."""
    cached: bool = False
    """Whether it was kept from an earlier question."""

    def __repr__(self) -> str:
        return "Answer(...)"


Send: TypeAlias = Callable[[HolderRequest], Awaitable[HolderReply]]


class Adapter(Protocol):
    """How one dataset is asked. Raises only :class:`providers.errors.ProviderError`."""

    async def fetch(self, query: Query, send: Send) -> Answer:
        """The holder's answer to one question."""
        ...
