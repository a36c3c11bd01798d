"""Counting entries without reading them: by the bits of the blocks' postings, and one by one at the edges of a period.

A block that lies in one day of Paris is counted by its postings; one that does not, and the entries after the last full
block, are looked at themselves. A count looks at a bounded number of blocks, the newest of the period, and says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from audit.blocks import BLOCK, bits_of, seconds_of, terms_of
from audit.search import Wanted, blocks_between, load
from audit.store import Session

MAX_BLOCKS = 4_000
"""Blocks that one count looks at: a million entries."""
LOOKED_AT = ("access", "refusal", "failure")
"""Kinds that are counted apart."""

_PARIS = ZoneInfo("Europe/Paris")
_HOUR = 3_600
_AT_ONCE = 500
_TIMES = "SELECT block, first_time, last_time FROM log_blocks WHERE block >= ? AND block <= ? ORDER BY block DESC"
_TERMS_AT_ONCE = 100
_POSTINGS = "SELECT term, block, entries FROM log_postings WHERE term IN ({}) AND block >= ? AND block <= ?"
# A term's block is the first that holds it.
_KNOWN = "SELECT term FROM log_terms WHERE term >= ? AND term < ? AND block <= ? ORDER BY term"
_RECIPIENT = "recipient="


@dataclass(slots=True)
class Counts:
    """Accesses, refusals and failures: by day of Paris, and all together by organisation."""

    days: dict[date, Counter[str]] = field(default_factory=dict)
    organisations: Counter[str] = field(default_factory=Counter)
    left_out: bool = False
    """Whether the period holds more than was looked at: then what is counted is the newest of it."""

    @property
    def total(self) -> int:
        """All that was counted."""
        return sum(sum(kinds.values()) for kinds in self.days.values())

    @property
    def nameless(self) -> int:
        """What of it is of no organisation: nobody made itself known."""
        return self.total - sum(self.organisations.values())


def count(session: Session, wanted: Wanted) -> Counts:
    """What of ``wanted`` lies in its period. ``wanted.rare`` must be empty: those entries are found, not counted."""
    counts = Counts()
    size = session.head().size
    full = size // BLOCK
    _count_entries(session, wanted, counts, range(full * BLOCK, size))
    between = blocks_between(session, wanted.since, wanted.until) if full else None
    if between is None:
        return counts
    first, last = between
    if last - first >= MAX_BLOCKS:
        first, counts.left_out = last - MAX_BLOCKS + 1, True
    groups = wanted.alternatives()
    organisations = _organisations(session, wanted, last)
    for low in range(first, last + 1, _AT_ONCE):
        high = min(last, low + _AT_ONCE - 1)
        blocks = _Blocks(session, low, high)
        blocks.count(wanted, groups, organisations, counts)
    return counts


class _Blocks:
    """Some blocks that follow one another."""

    def __init__(self, session: Session, low: int, high: int) -> None:
        self._session = session
        self._low, self._high = low, high

    def count(
        self, wanted: Wanted, groups: Sequence[tuple[str, ...]], organisations: Sequence[str], counts: Counts
    ) -> None:
        within, edges = self._sorted_by_day(wanted)
        for block in edges:
            _count_entries(self._session, wanted, counts, range(block * BLOCK, (block + 1) * BLOCK))
        bits = dict.fromkeys(within, (1 << BLOCK) - 1)
        for group in groups:
            held = self._held(group)
            bits = {block: kept for block, one in bits.items() if (kept := one & held.get(block, 0))}
        for kind in LOOKED_AT:
            for block, marks in self._held((f"kind={kind}",)).items():
                if found := (bits.get(block, 0) & marks).bit_count():
                    counts.days.setdefault(within[block], Counter())[kind] += found
        counted = self._held([f"kind={kind}" for kind in LOOKED_AT])
        bits = {block: one & counted.get(block, 0) for block, one in bits.items()}
        for term, block, marks in self._postings(organisations if any(bits.values()) else ()):
            if found := (bits.get(block, 0) & marks).bit_count():
                counts.organisations[term.removeprefix(_RECIPIENT)] += found

    def _sorted_by_day(self, wanted: Wanted) -> tuple[Mapping[int, date], Sequence[int]]:
        """Blocks that lie in one day and in the period, by their day; and those that must be looked into."""
        since, until = wanted.since or 0, 2**62 if wanted.until is None else wanted.until
        within, edges = {}, []
        for block, first, last in self._session.rows(_TIMES, (self._low, self._high)):
            if last < since or first >= until:
                continue
            if since <= first and last < until and day_of(first) == day_of(last):
                within[block] = day_of(first)
            else:
                edges.append(block)
        return within, edges

    def _held(self, group: Sequence[str]) -> dict[int, int]:
        """By block, the bits of the entries that hold a term of the group."""
        held: dict[int, int] = {}
        for _, block, bits in self._postings(group):
            held[block] = held.get(block, 0) | bits
        return held

    def _postings(self, terms: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """Each term in each block, with the bits of the entries that hold it."""
        for at in range(0, len(terms), _TERMS_AT_ONCE):
            some = terms[at : at + _TERMS_AT_ONCE]
            asked = _POSTINGS.format(",".join("?" * len(some)))
            for term, block, entries in self._session.rows(asked, (*some, self._low, self._high)):
                yield term, block, bits_of(bytes(entries))


def _organisations(session: Session, wanted: Wanted, last: int) -> Sequence[str]:
    """The terms of all whose entries the blocks up to ``last`` may hold; of one alone where one is asked for."""
    if (asked := wanted.terms.get("recipient")) is not None:
        return [f"{_RECIPIENT}{asked}"]
    return [term for (term,) in session.rows(_KNOWN, (_RECIPIENT, "recipient>", last))]


def day_of(seconds: int) -> date:
    """The day of Paris that a moment (Unix seconds) belongs to."""
    # Paris is whole hours from UTC: every second of an hour is alike.
    return _day_of_hour(seconds // _HOUR)


def _count_entries(session: Session, wanted: Wanted, counts: Counts, indexes: range) -> None:
    for record in load(session, indexes):
        kind = str(record.skeleton.get("kind"))
        if kind in LOOKED_AT and wanted.finds(record):
            counts.days.setdefault(day_of(seconds_of(record.skeleton)), Counter())[kind] += 1
            for term in terms_of(record.skeleton):
                if term.startswith(_RECIPIENT):
                    counts.organisations[term.removeprefix(_RECIPIENT)] += 1


@lru_cache(maxsize=10_000)
def _day_of_hour(hour: int) -> date:
    return datetime.fromtimestamp(hour * _HOUR, _PARIS).date()
