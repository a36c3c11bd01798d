"""What entries are found by: each block of 256 entries is indexed once, by the commit that fills it, and never again.

A block's row says from when until when its entries are; a posting says in 32 bytes which entries of a block hold a term
(``recipient=21990001600011``); a lookup leads from the hash of a rare value (citizen, grant, request id) to its entry.
Entries after the last full block are read themselves. Lookups are ordered by segment first, so that the pages
written to stay few and warm however long the log is (decision 0012). Pure.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

from audit.store.port import Row

BLOCK = 256
"""Entries of a block, as many as a tile has hashes."""
SEGMENT_BLOCKS = 32
"""Blocks whose lookups lie together."""
SEGMENT = BLOCK * SEGMENT_BLOCKS

TERMS = ("kind", "outcome", "dataset", "recipient", "delegate", "client", "purpose", "legal_basis", "provider")
"""The keys of an entry that are found by term; ``fields`` gives one term for each field, named ``field``."""
MAX_TERM = 200
"""Characters of a term."""

_KEY = struct.Struct(">q")
_BITS = BLOCK // 8

Item: TypeAlias = tuple[Mapping[str, object], Mapping[str, object]]
"""An entry's skeleton and its detail, which is empty once erased."""


@dataclass(slots=True)
class BlockRows:
    """The rows of the blocks that a batch filled."""

    blocks: list[Row] = field(default_factory=list)
    postings: list[Row] = field(default_factory=list)
    terms: list[Row] = field(default_factory=list)
    lookups: list[Row] = field(default_factory=list)


class OpenBlock:
    """The entries after the last full block, as the writer holds them in memory."""

    def __init__(self, size: int, items: Sequence[Item] = ()) -> None:
        """``size``: entries of the log; ``items``: those after the last full block."""
        if len(items) != size % BLOCK:
            raise ValueError(f"a log of {size} entries has {size % BLOCK} after its last full block")
        self._block = size // BLOCK
        self._items = list(items)
        self._known: set[str] = set()

    def extend(self, items: Sequence[Item]) -> BlockRows:
        """Take a batch in; the rows of the blocks that became full."""
        rows = BlockRows()
        self._items += items
        while len(self._items) >= BLOCK:
            full, self._items = self._items[:BLOCK], self._items[BLOCK:]
            self._fill(rows, full)
            self._block += 1
        return rows

    def _fill(self, rows: BlockRows, full: Sequence[Item]) -> None:
        block = self._block
        rows.blocks.append(block_row(block, [skeleton for skeleton, _ in full]))
        postings = postings_of([skeleton for skeleton, _ in full])
        rows.postings += [(term, block, bits) for term, bits in postings]
        rows.terms += [(term, block) for term, _ in postings if term not in self._known]
        self._known.update(term for term, _ in postings)
        rows.lookups += lookups_of(block, full)


def block_row(block: int, skeletons: Sequence[Mapping[str, object]]) -> Row:
    """Number, earliest and latest time (Unix seconds). Entries are not in the order of their times."""
    times = [seconds_of(skeleton) for skeleton in skeletons]
    return block, min(times), max(times)


def postings_of(skeletons: Sequence[Mapping[str, object]]) -> list[tuple[str, bytes]]:
    """Each term of a block and which of its entries hold it: bit ``i`` (from the lowest) for entry ``i``."""
    bits: dict[str, int] = {}
    for at, skeleton in enumerate(skeletons):
        mark = 1 << at
        for term in terms_of(skeleton):
            bits[term] = bits.get(term, 0) | mark
    return [(term, bits[term].to_bytes(_BITS, "little")) for term in sorted(bits)]


def lookups_of(block: int, items: Sequence[Item]) -> list[Row]:
    """Segment, key and index of a block's rare values, in the order of their table."""
    segment, first = block // SEGMENT_BLOCKS, block * BLOCK
    found = [
        (segment, lookup_key(name, value), first + at)
        for at, item in enumerate(items)
        for name, value in rare_values(*item)
    ]
    found.sort()
    return list(found)


def terms_of(skeleton: Mapping[str, object]) -> Iterator[str]:
    """The terms of an entry. An entry about several datasets or purposes names them with commas between."""
    for name in TERMS:
        if value := skeleton.get(name):
            for one in str(value).split(","):
                yield f"{name}={one}"[:MAX_TERM]
    fields = skeleton.get("fields")
    if isinstance(fields, list):
        for one in fields:
            yield f"field={one}"[:MAX_TERM]


def rare_values(skeleton: Mapping[str, object], detail: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What an entry is looked up by, besides its terms."""
    for name, value in (
        ("request_id", skeleton.get("request_id")),
        ("citizen", detail.get("citizen")),
        ("grant_id", detail.get("grant_id")),
    ):
        if value:
            yield name, str(value)


def lookup_key(name: str, value: str) -> int:
    """A signed 64-bit number for a rare value. Two values may share one: whoever finds an entry looks at it."""
    return int(_KEY.unpack_from(sha256(f"{name}={value}".encode()).digest())[0])


def seconds_of(skeleton: Mapping[str, object]) -> int:
    """The time of an entry in Unix seconds; 0 when it has none that can be read."""
    try:
        return max(0, int(datetime.fromisoformat(str(skeleton.get("time"))).timestamp()))
    except (ValueError, OverflowError):
        return 0


def bits_of(posting: bytes) -> int:
    """A posting as a number: bit ``i`` for entry ``i`` of the block."""
    return int.from_bytes(posting, "little")


def members(bits: int) -> Iterator[int]:
    """The places of the bits that are set, last first."""
    while bits:
        at = bits.bit_length() - 1
        yield at
        bits ^= 1 << at
