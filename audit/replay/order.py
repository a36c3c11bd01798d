"""Keys used and grants ended, over the whole log: nothing is spent twice, nothing accessed after its grant's end. Pure.

Keys are compared by 64 bits of their hash under a random prefix, heap by heap: exact but for one chance in millions of
a finding that the next run does not have.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from audit.replay.entries import BUCKETS
from audit.verifier import Finding


@dataclass(slots=True)
class Heaps:
    """Hashes of keys and indexes of entries in turn, in the order of the log within each heap."""

    heaps: list["array[int]"] = field(default_factory=lambda: [array("Q") for _ in range(BUCKETS)])

    def add(self, more: Sequence[bytes]) -> None:
        """Take what another process found; later entries later."""
        for heap, raw in zip(self.heaps, more, strict=True):
            heap.frombytes(raw)

    def firsts(self, at: int) -> dict[int, int]:
        """In one heap, each hash and the first entry that used it."""
        # Written from the end on: the first comes last and stays.
        hashes, indexes = self.heaps[at][::2], self.heaps[at][1::2]
        return dict(zip(reversed(hashes), reversed(indexes), strict=True))

    def pairs(self, at: int) -> Iterator[tuple[int, int]]:
        """One heap, in the order of the log."""
        return zip(self.heaps[at][::2], self.heaps[at][1::2], strict=True)

    def count(self, at: int) -> int:
        """Pairs of a heap."""
        return len(self.heaps[at]) // 2


@dataclass(frozen=True, slots=True)
class Range:
    """What was read: entries from ``first`` to before ``size``.

    ``newest``: those that there are by now, where that is known. ``erased``: whether an entry's detail is, by now.
    """

    first: int
    size: int
    newest: int | None
    erased: Callable[[int], bool]


@dataclass(slots=True)
class Keys:
    """What the entries tell, and what the tables keep where there are any."""

    spent: Heaps = field(default_factory=Heaps)
    closed: Heaps = field(default_factory=Heaps)
    accessed: Heaps = field(default_factory=Heaps)
    kept_spent: Heaps | None = None
    kept_closed: Heaps | None = None

    def findings(self, read: Range) -> Iterator[Finding]:
        """Heap by heap."""
        for at in range(BUCKETS):
            yield from _second_uses(self.spent, at)
            yield from _late_accesses(self, at)
            yield from _differences(self.spent, self.kept_spent, at, read, "spent")
            yield from _differences(self.closed, self.kept_closed, at, read, "closed")


def _second_uses(spent: Heaps, at: int) -> Iterator[Finding]:
    firsts = spent.firsts(at)
    if len(firsts) < spent.count(at):
        for key, index in spent.pairs(at):
            if firsts[key] != index:
                yield Finding(f"entry {index}", f"a second use of what was used up by entry {firsts[key]}")


def _late_accesses(keys: Keys, at: int) -> Iterator[Finding]:
    ends = keys.closed.firsts(at)
    if keys.kept_closed is not None:
        # What an end that was erased no longer tells, the table still does.
        for key, index in keys.kept_closed.pairs(at):
            ends[key] = min(index, ends.get(key, index))
    if not ends:
        return
    for key, index in keys.accessed.pairs(at):
        if key in ends and index > ends[key]:
            yield Finding(f"entry {index}", f"an access after its authorisation was ended by entry {ends[key]}")


def _differences(told: Heaps, kept: Heaps | None, at: int, read: Range, what: str) -> Iterator[Finding]:
    if kept is None:
        return
    by_entries, by_table = told.firsts(at), kept.firsts(at)
    if len(by_table) < kept.count(at):
        yield Finding(f"{what} keys", "one of them is kept twice")
    if by_entries == by_table:
        return
    for key, index in by_entries.items():
        if by_table.get(key) != index:
            yield from _not_kept(index, by_table.get(key), read, what)
    for key, index in by_table.items():
        if by_entries.get(key) != index:
            yield from _not_told(index, read, what)


def _not_kept(index: int, other: int | None, read: Range, what: str) -> Iterator[Finding]:
    if other is not None and other < read.first and what == "spent":
        yield Finding(f"entry {index}", f"a second use of what was used up by entry {other}")
    elif not read.erased(index):
        kept = "is not kept" if other is None else f"is kept as that of entry {other}"
        yield Finding(f"key at entry {index}", f"the key that it {what} {kept}")


def _not_told(index: int, read: Range, what: str) -> Iterator[Finding]:
    if read.newest is not None and index >= read.newest:
        yield Finding(f"key at entry {index}", "the log has no such entry")
    elif read.first <= index < read.size and not read.erased(index):
        yield Finding(f"key at entry {index}", f"the entry does not say that it was {what}")
