"""What entries are found by: each block of 256 entries is indexed once, by the commit that fills it, and never again.

A block's row says from when until when its entries are; a posting says in 32 bytes which entries of a block hold a term
(``recipient=21990001600011``); a lookup leads from the hash of a rare value (citizen, grant, request id) to its entry.
Entries after the last full block are read themselves. Lookups are ordered by segment first, so that the pages
written to stay few and warm however long the log is (decision 0012). Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

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

_RARE = {"request_id": 0, "citizen": 1, "grant_id": 1}
"""What an entry is looked up by, besides its terms: in the skeleton, in the detail."""
_BEGINNINGS = {name: crc32(f"{name}=".encode()) for name in _RARE}

_BITS = BLOCK // 8
_MARKS = tuple(1 << at for at in range(BLOCK))
_TO_THE_SECOND = len("2026-11-24T00:00:00")

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

    def extend(self, items: Sequence[Item], known: set[str]) -> BlockRows:
        """Take a batch in; the rows of the blocks that became full.

        ``known``: terms that are in the log already; it grows by those of the blocks.
        """
        rows = BlockRows()
        self._items += items
        while len(self._items) >= BLOCK:
            full, self._items = self._items[:BLOCK], self._items[BLOCK:]
            _fill(rows, self._block, full, known)
            self._block += 1
        return rows


def _fill(rows: BlockRows, block: int, full: Sequence[Item], known: set[str]) -> None:
    skeletons = [skeleton for skeleton, _ in full]
    rows.blocks.append(block_row(block, skeletons))
    postings = postings_of(skeletons)
    rows.postings += [(term, block, bits) for term, bits in postings]
    rows.terms += [(term, block) for term, _ in postings if term not in known]
    known.update(term for term, _ in postings)
    rows.lookups += lookups_of(block, full)


def block_row(block: int, skeletons: Sequence[Mapping[str, object]]) -> Row:
    """Number, earliest and latest time (Unix seconds). Entries are not in the order of their times."""
    times = [seconds_of(skeleton) for skeleton in skeletons]
    return block, min(times), max(times)


def postings_of(skeletons: Sequence[Mapping[str, object]]) -> list[tuple[str, bytes]]:
    """Each term of a block and which of its entries hold it: bit ``i`` (from the lowest) for entry ``i``."""
    bits: dict[str, int] = {}
    for name in TERMS:
        for value, marks in _column([skeleton.get(name) for skeleton in skeletons]).items():
            for term in _terms_of_value(name, value):
                bits[term] = bits.get(term, 0) | marks
    for fields, marks in _column([tuple(fields_of(skeleton)) for skeleton in skeletons]).items():
        for term in _terms_of_fields(fields):
            bits[term] = bits.get(term, 0) | marks
    return [(term, bits[term].to_bytes(_BITS, "little")) for term in sorted(bits)]


def _column(values: Sequence[Any]) -> dict[Any, int]:
    """Each value that is there and the entries that have it."""
    if len(set(values)) == 1:
        # Most columns, most of the time.
        return {values[0]: (1 << len(values)) - 1} if values[0] else {}
    marked: dict[Any, int] = {}
    for mark, value in zip(_MARKS, values, strict=False):
        if value:
            marked[value] = marked.get(value, 0) | mark
    return marked


def lookups_of(block: int, items: Sequence[Item]) -> list[Row]:
    """Segment, key and index of a block's rare values, in their table's order; once where two share a key."""
    segment, first = block // SEGMENT_BLOCKS, block * BLOCK
    return sorted({(segment, key, first + at) for key, at in rare_keys(items)})


def rare_keys(items: Sequence[Item]) -> list[tuple[int, int]]:
    """The key of each rare value and the place of its entry among these; column by column, for speed."""
    found: list[tuple[int, int]] = []
    for name, part in _RARE.items():
        beginning = _BEGINNINGS[name]
        found += [
            (crc32(str(value).encode(), beginning), at)
            for at, item in enumerate(items)
            if (value := item[part].get(name))
        ]
    return found


def terms_of(skeleton: Mapping[str, object]) -> Iterator[str]:
    """The terms of an entry. An entry about several datasets or purposes names them with commas between."""
    for name in TERMS:
        if value := skeleton.get(name):
            yield from _terms_of_value(name, value)
    yield from _terms_of_fields(fields_of(skeleton))


def fields_of(skeleton: Mapping[str, object]) -> Sequence[object]:
    """The fields that an entry names."""
    fields = skeleton.get("fields")
    return fields if isinstance(fields, list) else ()


def _terms_of_value(name: str, value: object) -> list[str]:
    return [f"{name}={one}"[:MAX_TERM] for one in str(value).split(",")]


def _terms_of_fields(fields: Iterable[object]) -> list[str]:
    return [f"field={one}"[:MAX_TERM] for one in fields]


def rare_values(skeleton: Mapping[str, object], detail: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What an entry is looked up by, besides its terms."""
    for name, part in _RARE.items():
        if value := (skeleton, detail)[part].get(name):
            yield name, str(value)


def lookup_key(name: str, value: str) -> int:
    """A 32-bit number for a rare value. Two values may share one: whoever finds an entry looks at it."""
    return crc32(value.encode(), _BEGINNINGS[name])


def seconds_of(skeleton: Mapping[str, object]) -> int:
    """The time of an entry in Unix seconds; 0 when it has none that can be read."""
    return _seconds(str(skeleton.get("time"))[:_TO_THE_SECOND])


@lru_cache(maxsize=1024)
def _seconds(time: str) -> int:
    try:
        return max(0, int(datetime.fromisoformat(time + "Z").timestamp()))
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
