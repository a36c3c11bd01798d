"""Finding entries, newest first: by terms through the blocks' postings, by rare values through the lookups.

What is found by an index is looked at itself before it is shown: an index may only be too wide, never decide. A search
looks at a bounded number of postings and entries and says where it stopped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from audit.blocks import BLOCK, SEGMENT_BLOCKS, bits_of, lookup_key, members, rare_values, terms_of
from audit.store import Session

MAX_ENTRIES = 5_000
"""Entries that one search looks at."""
MAX_POSTINGS = 50_000
"""Postings that one search reads."""

_SOME, _MOST_AT_ONCE = 64, 500
_SEGMENTS_AT_ONCE = 2_048
_FEWEST_POSTINGS, _MOST_POSTINGS = 16, 1_024

_LOADED = (
    'SELECT e."index", e.leaf, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
    'WHERE e."index" IN ({}) ORDER BY e."index" DESC'
)
_POSTINGS = "SELECT block, entries FROM log_postings WHERE term = ? AND block <= ? ORDER BY block DESC LIMIT ?"
_PERIOD = "SELECT min(block), max(block) FROM log_blocks WHERE last_time >= ? AND first_time < ?"
# Both engines probe one segment after the other, each in the few pages that hold it.
_LOOKUP = (
    "WITH RECURSIVE s(n) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT n - 1 FROM s WHERE n > ?) "
    'SELECT l."index" FROM s CROSS JOIN log_lookups l WHERE l.segment = s.n AND l.key = ?'
)


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """An entry of the log; ``detail`` is empty once erased, or for a reader who may not see it."""

    index: int
    skeleton: Mapping[str, object]
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Accesses:
    """What was found, newest first. ``older``: look on below this index; ``None`` when all was looked through."""

    records: Sequence[AccessRecord]
    older: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries. All of it must hold; what is empty holds for every entry."""

    terms: Mapping[str, str] = field(default_factory=dict)
    """By name (:data:`audit.blocks.TERMS` and ``field``)."""
    kinds: tuple[str, ...] = ()
    """Any of these."""
    rare: Mapping[str, str] = field(default_factory=dict)
    """``citizen``, ``grant_id``, ``request_id``."""
    since: int | None = None
    """Unix seconds, the first moment that belongs to it."""
    until: int | None = None
    """Unix seconds, the first moment after it."""

    def finds(self, record: AccessRecord) -> bool:
        """Whether an entry is one of those."""
        return (
            self._in_period(str(record.skeleton.get("time", "")))
            and (not self.kinds or record.skeleton.get("kind") in self.kinds)
            and {f"{name}={value}" for name, value in self.terms.items()} <= set(terms_of(record.skeleton))
            and self.rare.items() <= set(rare_values(record.skeleton, record.detail))
        )

    def alternatives(self) -> list[tuple[str, ...]]:
        """The terms that postings are read for: one of each group."""
        groups: list[tuple[str, ...]] = [(f"{name}={value}",) for name, value in self.terms.items()]
        return [*groups, tuple(f"kind={kind}" for kind in self.kinds)] if self.kinds else groups

    def _in_period(self, time: str) -> bool:
        # Times of entries are all written alike, in UTC: they sort as text.
        return (self.since is None or time >= written(self.since)) and (
            self.until is None or time < written(self.until)
        )


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Entries to look at, last first; everything from ``below`` on is then looked through."""

    indexes: Sequence[int]
    below: int


class _Enough(Exception):
    """The search read as much as it may. Carries the index below which it goes on."""

    def __init__(self, below: int) -> None:
        super().__init__()
        self.below = below


def find(session: Session, wanted: Wanted, *, before: int | None = None, limit: int) -> Accesses:
    """The newest ``limit`` entries below ``before`` that are wanted."""
    found: list[AccessRecord] = []
    looked = 0
    try:
        for candidates in _candidates(session, wanted, before, some=max(_SOME, min(limit, _MOST_AT_ONCE))):
            for record in load(session, candidates.indexes):
                if wanted.finds(record):
                    if len(found) == limit:
                        return Accesses(found, found[-1].index)
                    found.append(record)
            looked += len(candidates.indexes)
            if looked >= MAX_ENTRIES:
                return Accesses(found, candidates.below or None)
    except _Enough as enough:
        return Accesses(found, enough.below)
    return Accesses(found, None)


def load(session: Session, indexes: Sequence[int]) -> list[AccessRecord]:
    """These entries with their details, last first."""
    if not indexes:
        return []
    rows = session.rows(_LOADED.format(",".join("?" * len(indexes))), tuple(indexes))
    return [AccessRecord(row[0], orjson.loads(row[1]), orjson.loads(row[2]) if row[2] else {}) for row in rows]


def blocks_between(session: Session, since: int | None, until: int | None) -> tuple[int, int] | None:
    """First and last full block with an entry of the period, if there is one."""
    first, last = session.rows(_PERIOD, (since or 0, 2**62 if until is None else until))[0]
    return None if first is None else (first, last)


def written(seconds: int) -> str:
    """A time as entries have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _candidates(session: Session, wanted: Wanted, before: int | None, *, some: int) -> Iterator[_Candidates]:
    size = session.head().size
    end = size if before is None else min(before, size)
    full = size // BLOCK
    # What no block holds yet.
    yield from _runs(range(full * BLOCK, end), some)
    if not full or end <= 0:
        return
    end = min(end, full * BLOCK)
    if wanted.rare:
        yield from _looked_up(session, wanted.rare, end)
        return
    period = (
        (0, full - 1) if wanted.since is wanted.until is None else blocks_between(session, wanted.since, wanted.until)
    )
    if period is None:
        return
    first, last = period[0], min(period[1], (end - 1) // BLOCK)
    if groups := wanted.alternatives():
        yield from _posted(session, groups, range(first, last + 1), end=end, some=some)
    else:
        yield from _runs(range(first * BLOCK, min(end, (last + 1) * BLOCK)), some)


def _runs(indexes: range, some: int) -> Iterator[_Candidates]:
    for end in range(indexes.stop, indexes.start, -some):
        start = max(indexes.start, end - some)
        yield _Candidates(range(end - 1, start - 1, -1), start)


def _looked_up(session: Session, rare: Mapping[str, str], end: int) -> Iterator[_Candidates]:
    keys = [lookup_key(name, value) for name, value in rare.items()]
    last = (end - 1) // (BLOCK * SEGMENT_BLOCKS)
    for top in range(last, -1, -_SEGMENTS_AT_ONCE):
        low = max(0, top - _SEGMENTS_AT_ONCE + 1)
        sets = [{row[0] for row in session.rows(_LOOKUP, (top, low, key))} for key in keys]
        indexes = sorted((index for index in set.intersection(*sets) if index < end), reverse=True)
        for at in range(0, len(indexes), _SOME):
            some = indexes[at : at + _SOME]
            yield _Candidates(some, some[-1])


def _posted(
    session: Session, groups: Sequence[tuple[str, ...]], blocks: range, *, end: int, some: int
) -> Iterator[_Candidates]:
    """Entries of the blocks that hold a term of each group."""
    held: list[int] = []
    try:
        for block, bits in walk(session, groups, first=blocks.start, last=blocks.stop - 1):
            held += [index for at in members(bits) if (index := block * BLOCK + at) < end]
            if len(held) >= some:
                yield _Candidates(held, block * BLOCK)
                held = []
    except _Enough as enough:
        # The search goes on below: what was found above belongs to this one.
        yield _Candidates(held, enough.below)
        raise
    yield _Candidates(held, 0)


def walk(session: Session, groups: Sequence[tuple[str, ...]], *, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Blocks from ``last`` down to ``first`` that hold a term of each group, with the bits of the entries that do.

    The highest block of each group is sought below the lowest of the others: what the groups do not share is leapt
    over. Raises :class:`_Enough` once :data:`MAX_POSTINGS` were read.
    """
    lists = [[_Posting(session, term) for term in group] for group in groups]
    block = last
    while block >= first:
        if sum(posting.read for group in lists for posting in group) > MAX_POSTINGS:
            raise _Enough((block + 1) * BLOCK)
        found = [_highest(group, block) for group in lists]
        lowest = min(one[0] for one in found)
        if lowest < first:
            return
        if all(one[0] == lowest for one in found):
            bits = (1 << BLOCK) - 1
            for _, held in found:
                bits &= held
            if bits:
                yield lowest, bits
            lowest -= 1
        block = lowest


def _highest(group: Sequence["_Posting"], block: int) -> tuple[int, int]:
    """The highest block up to ``block`` that holds a term of the group, and the bits; -1 when there is none."""
    found = [posting.at_most(block) for posting in group]
    highest = max(one[0] for one in found)
    bits = 0
    for at, held in found:
        if at == highest:
            bits |= held
    return highest, bits


class _Posting:
    """The blocks of one term, last first, read some at a time."""

    def __init__(self, session: Session, term: str) -> None:
        self.read = 0
        self._session = session
        self._term = term
        self._rows: list[tuple[int, bytes]] = []
        self._at = 0
        self._ended = False

    def at_most(self, block: int) -> tuple[int, int]:
        """The highest block up to ``block`` with the term, and its bits; -1 when there is none."""
        while True:
            while self._at < len(self._rows):
                held, entries = self._rows[self._at]
                if held <= block:
                    return held, bits_of(entries)
                self._at += 1
            if self._ended:
                return -1, 0
            self._fetch(block)

    def _fetch(self, block: int) -> None:
        wanted = min(_MOST_POSTINGS, max(_FEWEST_POSTINGS, 2 * len(self._rows)))
        self._rows = [(row[0], bytes(row[1])) for row in self._session.rows(_POSTINGS, (self._term, block, wanted))]
        self._at = 0
        self._ended = len(self._rows) < wanted
        self.read += len(self._rows)
