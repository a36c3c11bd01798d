"""What a process that looked at some entries tells the one that puts everything together. Goes between processes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from audit.verifier import Finding, list_some


@dataclass(frozen=True, slots=True)
class Rules:
    """What is verified against: the log's key, the known witnesses' keys; what is random in this run."""

    vkey: str
    witnesses: tuple[str, ...]
    token: str
    prefix: bytes


class Claim(NamedTuple):
    """A signed checkpoint: its size and root, and the hash over the leaves after the last full tile below it."""

    size: int
    root: bytes
    ragged: bytes


class Run(NamedTuple):
    """What an entry says that was erased: how many, the lowest and the highest index, the hash over all of them."""

    erased: int
    first: int
    last: int
    digest: str

    @classmethod
    def of(cls, entry: Mapping[str, object]) -> "Run | None":
        """Read the entry of a retention run; ``None`` when it does not say what it must."""
        erased, first, last, digest = (entry.get(name) for name in ("erased", "first", "last", "erased_sha256"))
        if type(erased) is int and type(first) is int and type(last) is int and type(digest) is str:
            return cls(erased, first, last, digest)
        return None


@dataclass(slots=True)
class Report:
    """Of entries from ``first`` to before ``end``.

    ``roots``: of the full tiles; ``tail``: the leaf hashes after the last of them; ``ragged``: by size, as in a claim,
    where it was asked for. ``spent``, ``closed``, ``accessed``: heaps (:class:`audit.replay.entries.Uses`). ``erased``:
    index of an entry and of the one that says it was erased. ``terms``: with the first block that holds each; ``None``
    when an entry could not be read. ``cosigned``: by witness, the newest checkpoint it signed. ``missing``: how many
    findings are of details that nothing says were erased.
    """

    first: int
    end: int
    roots: list[bytes] = field(default_factory=list)
    tail: list[bytes] = field(default_factory=list)
    ragged: dict[int, bytes] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    spent: list[bytes] = field(default_factory=list)
    closed: list[bytes] = field(default_factory=list)
    accessed: list[bytes] = field(default_factory=list)
    erased: list[tuple[int, int]] = field(default_factory=list)
    runs: dict[int, Run] = field(default_factory=dict)
    terms: dict[str, int] | None = None
    cosigned: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    missing: int = 0
    checked: Counter[str] = field(default_factory=Counter)

    def find(self, place: str, problem: str) -> None:
        """Add a finding; beyond as many as anybody reads they are only counted."""
        self.add([Finding(place, problem)])

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings."""
        self.more += list_some(findings, self.findings)
