"""What the verification asks of a place where a log is kept. Pure: it takes no reader's word for anything it can check.

A source is a name that each process opens for itself (it goes from one to another); what it opens is a reader, which
belongs to the process that opened it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from audit.checkpoint import NoteVerifier
from audit.verifier import Finding

Opened: TypeAlias = tuple[bytes, bytes]
"""Salt and detail of an entry."""


class SourceUnavailable(Exception):
    """The log cannot be read there; the message says why. It says nothing of whether the log verifies."""


class StoredNote(NamedTuple):
    """A signed checkpoint under the size that it is kept by; ``frontier`` where that is kept too."""

    size: int
    text: str
    frontier: bytes | None = None


class StoredTile(NamedTuple):
    """The hashes of a tile as they are kept; ``above``: the hash kept for the whole tile, where there is one."""

    hashes: bytes
    above: bytes | None = None


class StoredCosignature(NamedTuple):
    """A witness's signature line for the checkpoint of ``size`` entries."""

    size: int
    witness: str
    line: str


class KeySlice(NamedTuple):
    """Some rows of the table of closed keys, or of the spent ones: from a row on to before another."""

    closes: bool
    first: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source has.

    ``note``: the newest checkpoint, empty for an empty log; ``size``: its entries. ``first``: entries before are not
    there. ``tables``: it is a database, with keys and indexes; full tiles alone are kept there. ``grows``: it is none,
    and grows while it is read. ``notes``, ``erased`` (index of an entry, and of the one that says it was erased): all
    of them, ascending, where parts do not bring them; they are read while one goes through them, which is done once at
    a time. ``erased`` is ``None`` when it is not known what was erased.
    """

    size: int
    note: str
    first: int = 0
    entries: bool = True
    details: bool = True
    tables: bool = False
    grows: bool = False
    notes: Iterable[StoredNote] = ()
    erased: Iterable[tuple[int, int]] | None = None
    findings: Iterable[Finding] = ()
    unchecked: Sequence[str] = ()


@dataclass(slots=True)
class IndexRows:
    """The rows by which a database finds the entries of a part (:mod:`audit.blocks`)."""

    blocks: dict[int, tuple[int, int]]
    postings: dict[tuple[str, int], bytes]
    lookups: dict[int, list[int]]
    """By segment, ascending: the key times ``SEGMENT``, plus the place of the entry in its segment."""


@dataclass(slots=True)
class Part:
    """Entries from ``first``, a multiple of 256, to before ``end``, with all that belongs to them.

    ``leaves``, ``details``: one for each entry, ``None`` for what is not there; the list itself is ``None`` where they
    cannot be read at all. ``unread``: indexes of details that a finding already says are not readable. ``notes``: those
    of more than ``first`` and at most ``end`` entries.
    """

    first: int
    end: int
    leaves: list[bytes | None] | None
    details: list[Opened | None] | None
    tiles: dict[int, StoredTile]
    notes: list[StoredNote] = field(default_factory=list)
    erased: dict[int, int] | None = None
    unread: set[int] = field(default_factory=set)
    cosignatures: list[StoredCosignature] = field(default_factory=list)
    index: IndexRows | None = None
    findings: list[Finding] = field(default_factory=list)


class Reader(Protocol):
    """Every method may raise :class:`SourceUnavailable`."""

    def opening(self, key: NoteVerifier, *, cosigned: bool) -> Opening:
        """What there is, up to the newest checkpoint that the key signed. ``cosigned``: and that a witness did."""
        ...

    def part(self, first: int, end: int, *, entries: bool, details: bool) -> Part:
        """Some entries, read at one moment. ``entries``, ``details``: what the opening said is there.

        A missing entry is said by its findings; so is a missing tile of leaves that should be kept.
        """
        ...

    def tile(self, level: int, number: int, width: int) -> StoredTile | None:
        """A tile of a level above the entries' own hashes."""
        ...

    def newest(self) -> int | None:
        """Size of the newest checkpoint by now that the key signed; ``None`` where nothing more is ever written.

        Asked after the opening.
        """
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class GrowingReader(Reader, Protocol):
    """A reader whose opening says ``grows``."""

    def erased_by(self, first: int, end: int) -> int:
        """Details that entries from ``first`` to before ``end`` are said to have erased, by now."""
        ...


class TablesReader(Reader, Protocol):
    """A reader whose opening says ``tables``."""

    def key_slices(self) -> list[KeySlice]:
        """Slices that together are the tables of keys."""
        ...

    def keys(self, part: KeySlice) -> Iterator[tuple[bytes, int]]:
        """Key and index of the entry that used it."""
        ...

    def terms(self) -> dict[str, int]:
        """Each term and the block that it is said to be in first."""
        ...

    def erasure_of(self, index: int) -> int | None:
        """The entry that says that an entry was erased, by now."""
        ...

    def strays(self, size: int) -> list[Finding]:
        """Rows that no log of its head's size has. ``size``: up to which it was verified."""
        ...


class Source(Protocol):
    """Goes from one process to another."""

    def open(self) -> Reader:
        """A reader of this process's own."""
        ...


__all__ = [
    "GrowingReader",
    "IndexRows",
    "KeySlice",
    "Opened",
    "Opening",
    "Part",
    "Reader",
    "Source",
    "SourceUnavailable",
    "StoredCosignature",
    "StoredNote",
    "StoredTile",
    "TablesReader",
]
