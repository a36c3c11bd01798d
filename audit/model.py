"""What is appended to the log and what comes back: plain values, no I/O.

The log's vocabulary (design of the audit commit): an append is an entry plus three sets of opaque keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

EntryValue: TypeAlias = str | int | bool | list[str]
DetailValue: TypeAlias = str | int | bool

ALREADY_SPENT = "already_spent"
GRANT_CLOSED = "grant_closed"


@dataclass(frozen=True, slots=True)
class Append:
    """One thing to write, durable before anyone is told.

    ``skeleton``: the public part of the entry: kind, time, dataset, field names, recipient, client, purpose,
    legal basis, provider, outcome, request id. ASCII keys; absent rather than null; no floats.
    ``detail``: the sealed part: ``citizen`` (pseudonym), ``grant_id``, ``acr``, ``duration_ms``, ... It is
    erased at the end of retention.
    ``spends``: one-time keys; if any was spent before, the entry is written as a refusal with
    outcome ``already_spent``.
    ``requires``: keys that must still be open; if any was closed, the entry is written as a refusal with
    outcome ``grant_closed``.
    ``closes``: keys that this entry closes for good.
    ``one_of``: one-time keys of which the first that is left is spent; when none is, the entry is a refusal like one
    of a spent key.
    ``erases``: indexes of entries whose details go with this entry, which says so; ``forgets``: the rows of their
    lookups (segment, key, index), which go too; ``releases``: keys, spent or closed, that nothing can need any more,
    of which those go whose own entries were erased, now or before.
    ``outcomes``: by key, what the entry's outcome says instead when that key stood in the way (for ``one_of``: its
    first).
    """

    skeleton: Mapping[str, EntryValue]
    detail: Mapping[str, DetailValue] = field(default_factory=dict)
    spends: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    erases: tuple[int, ...] = ()
    forgets: tuple[tuple[int, int, int], ...] = ()
    releases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the log answers once the entry is durable.

    ``refused`` is ``None``, or the outcome of the refusal that was written instead (``already_spent``,
    ``grant_closed``, or one of the append's ``outcomes``): nothing may be released then. ``entry`` is what stands in
    the log, canonical JSON without the sealed detail; ``proof`` is its C2SP ``tlog-proof``: inclusion path and signed
    checkpoint. Both together are checked with the log's public key alone.
    """

    index: int
    refused: str | None
    entry: bytes
    proof: str


class LogError(Exception):
    """Base of everything the log raises."""


class LogUnavailable(LogError):
    """This append is not in the log (queue full, database slow or down, batch failed). The next may succeed."""


class LogBroken(LogError):
    """The log's state is unknown or contradicts itself. Nothing more is appended; the message says how to repair."""
