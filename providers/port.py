"""The port between a dataset's adapter and the rest.

An adapter turns a :class:`Query` into a request value, awaits ``send`` and reads the reply into an
:class:`Answer`. It does no I/O and knows no HTTP client.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from openapi.fields import PivotIdentity, Siret


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a holder. ``identity`` is the citizen's; ``recipient`` the SIRET the data is for.

    ``fields`` are the paths that may leave: nothing else of the holder's answer is read.
    """

    dataset: str
    recipient: Siret
    request_id: str
    identity: PivotIdentity
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HolderRequest:
    """A GET to the holder: path below its base URL and query pairs. Secrets are added by the transport."""

    path: str
    query: tuple[tuple[str, str], ...]


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

    def __repr__(self) -> str:
        return "Answer(...)"


Send: TypeAlias = Callable[[HolderRequest], Awaitable[HolderReply]]


class Adapter(Protocol):
    """How one dataset is asked. Raises only :class:`providers.errors.ProviderError`."""

    async def fetch(self, query: Query, send: Send) -> Answer:
        """The holder's answer to one question."""
        ...
