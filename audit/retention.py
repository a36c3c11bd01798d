"""What has reached the end of its retention, oldest first: the entries whose details and salts are to be erased.

An entry about several datasets is kept as long as the one that is kept longest. Blocks' times and the datasets'
postings say where to look; each entry found there is looked at itself. An entry that seals nothing (``{}``) has nothing
to erase. What was erased before is no longer there to be found: a run that was cut short is simply run again.

Erased are the details, the salts (32 random bytes: without them nobody can try what a detail may have been) and the
lookups by citizen and grant. The entry itself stays, and every proof of it. A key that must stay spent no longer says
by which entry (:func:`untie`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256

import orjson

from audit.blocks import BLOCK, SEGMENT, bits_of, lookup_key, members
from audit.model import LogUnavailable
from audit.search import written
from audit.sessions import reading
from audit.store import Session, Store, StoreError
from audit.store.port import INSERTS, RELEASES
from audit.verifier import UNTIED

MOST_AT_ONCE = 2_000
"""Entries that one commit erases: it stays far within a statement's time, and other writers get their turn."""

_WINDOW = 64
"""Blocks that are looked at together."""
_LOADED_AT_ONCE = 500
_EVERY = (1 << BLOCK) - 1
_NOTHING_SEALED = b"{}"
_RARE = ("citizen", "grant_id")

_NEWEST_BLOCK = "SELECT max(block) FROM log_blocks WHERE first_time < ?"
_BLOCKS = "SELECT block, first_time FROM log_blocks WHERE block >= ? AND block < ? AND first_time < ?"
_DATASETS = "SELECT term FROM log_terms WHERE term LIKE ?"
_POSTINGS = "SELECT term, block, entries FROM log_postings WHERE block >= ? AND block < ? AND term IN ({})"
_SEALED = 'SELECT "index" FROM log_details WHERE "index" >= ? AND "index" < ? AND detail <> ?'
_ENTRIES = (
    'SELECT e."index", e.leaf, d.detail FROM log_details d JOIN log_entries e ON e."index" = d."index" '
    'WHERE d."index" IN ({}) ORDER BY e."index"'
)
_KEYS = (
    'SELECT k.key, e."index" FROM log_spent_keys k LEFT JOIN log_erased e ON e."index" = k."index" '
    "WHERE k.key > ? AND k.key < ? ORDER BY k.key LIMIT ?"
)
_TERM = "dataset="


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Entries of ``dataset`` made before ``before`` (Unix seconds) have been kept for ``duration`` (ISO 8601).

    The lowest of several rules is the one that keeps longest. ``dataset`` is empty for entries that name none.
    """

    before: int
    dataset: str
    duration: str

    @property
    def cut_off(self) -> str:
        """``before`` as entries write times."""
        return written(self.before)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every rule at one moment."""

    datasets: Mapping[str, Rule]
    without: Rule
    """For entries that name no dataset."""
    unknown: Rule
    """For datasets that are no longer known: it should keep long."""

    def of(self, datasets: Sequence[str]) -> Rule:
        """The rule that keeps what is about these datasets longest."""
        return min((self._one(dataset) for dataset in datasets if dataset), default=self.without)

    @property
    def latest(self) -> int:
        """The cut-off that no entry is erased after."""
        return max(rule.before for rule in (*self.datasets.values(), self.without, self.unknown))

    def _one(self, dataset: str) -> Rule:
        return self.datasets.get(dataset) or replace(self.unknown, dataset=dataset)


@dataclass(frozen=True, slots=True)
class Due:
    """An entry whose details are to be erased, and the rule that says so."""

    index: int
    rule: Rule
    skeleton: Mapping[str, object]
    detail: Mapping[str, object]

    @property
    def lookups(self) -> list[tuple[int, int, int]]:
        """The rows by which the citizen and the grant lead to it."""
        named = ((name, self.detail.get(name)) for name in _RARE)
        return [(self.index // SEGMENT, lookup_key(name, str(value)), self.index) for name, value in named if value]


def due(store: Store, schedule: Schedule) -> Iterator[Due]:
    """Everything to be erased, in the order of the log. Raises ``LogUnavailable``.

    No transaction lasts between two of them: the caller may erase as it reads.
    """
    with reading(store) as session:
        size, terms, blocks = _extent(session, schedule)
    for first in range(0, blocks, _WINDOW):
        with reading(store) as session:
            candidates = _candidates(session, schedule, terms, first, min(first + _WINDOW, blocks))
        yield from _loaded(store, schedule, candidates)
    # What no block holds yet.
    yield from _loaded(store, schedule, range(size - size % BLOCK, size))


def fingerprint(indexes: Sequence[int]) -> str:
    """SHA-256, in hexadecimal, over the indexes in ascending order, each in 8 bytes big-endian."""
    return sha256(b"".join(index.to_bytes(8, "big") for index in sorted(indexes))).hexdigest()


def untie(store: Store, prefix: str, *, between: Callable[[], object]) -> None:
    """Let the spent keys that begin with ``prefix`` say nothing of the entries that spent them, if those were erased.

    A key is written anew in the transaction in which it goes, under the log's lock: no writer ever finds it unspent.
    They are gone through in the order of the keys, so that neither their rows' places tell which entry was whose.
    ``between`` is called after each batch, when others may write. Raises ``LogUnavailable``.
    """
    after, end = prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
    try:
        with closing(store.connect()) as session:
            while after:
                after = _untie_some(session, after, end)
                between()
    except StoreError as error:
        raise LogUnavailable(str(error)) from None


def _untie_some(session: Session, after: str, end: str) -> str:
    """The last key that was looked at; empty when there are no more."""
    with session.locked([], []):
        found = session.rows(_KEYS, (after, end, MOST_AT_ONCE))
        tied = [key for key, erased in found if erased is not None]
        if tied:
            gone, anew = [(key,) for key in tied], [(key, UNTIED) for key in tied]
            session.commit([[(RELEASES[0], gone)], [(INSERTS["spent"], anew)]])
    return str(found[-1][0]) if found else ""


def _extent(session: Session, schedule: Schedule) -> tuple[int, list[str], int]:
    """Size of the log, the terms of every dataset it names, and how many blocks are to be looked at."""
    size = session.head().size
    terms = [str(row[0]) for row in session.rows(_DATASETS, (f"{_TERM}%",))]
    newest = session.rows(_NEWEST_BLOCK, (schedule.latest,))[0][0]
    return size, terms, 0 if newest is None else min(newest + 1, size // BLOCK)


def _candidates(session: Session, schedule: Schedule, terms: Sequence[str], first: int, end: int) -> list[int]:
    """Indexes in these blocks that may be due and still have their details, ascending."""
    times: dict[int, int] = dict(session.rows(_BLOCKS, (first, end, schedule.latest)))
    if not times:
        return []
    held: dict[int, list[tuple[Rule, int]]] = {block: [] for block in times}
    for term, block, entries in session.rows(_POSTINGS.format(_marks(terms)), (first, end, *terms)):
        if block in held:
            held[block].append((schedule.of([term.removeprefix(_TERM)]), bits_of(bytes(entries))))
    found = {
        block * BLOCK + at
        for block, postings in held.items()
        for at in members(_due_bits(schedule, postings, times[block]))
    }
    if not found:
        return []
    sealed = session.rows(_SEALED, (first * BLOCK, end * BLOCK, _NOTHING_SEALED))
    return sorted(found.intersection(row[0] for row in sealed))


def _due_bits(schedule: Schedule, postings: list[tuple[Rule, int]], first_time: int) -> int:
    """The entries of a block whose own rule looks beyond its earliest time."""
    left, found = _EVERY, 0
    for rule, bits in sorted(postings):
        if first_time < rule.before:
            found |= bits & left
        left &= ~bits
    return found | left if first_time < schedule.without.before else found


def _loaded(store: Store, schedule: Schedule, indexes: Sequence[int]) -> Iterator[Due]:
    for at in range(0, len(indexes), _LOADED_AT_ONCE):
        some = indexes[at : at + _LOADED_AT_ONCE]
        with reading(store) as session:
            rows = session.rows(_ENTRIES.format(_marks(some)), tuple(some))
        for index, leaf, detail in rows:
            found = _due(schedule, index, orjson.loads(leaf), bytes(detail))
            if found is not None:
                yield found


def _due(schedule: Schedule, index: int, skeleton: Mapping[str, object], detail: bytes) -> Due | None:
    rule = schedule.of(str(skeleton.get("dataset", "")).split(","))
    # Times of entries are all written alike, in UTC: they sort as text.
    if detail == _NOTHING_SEALED or str(skeleton.get("time", "")) >= rule.cut_off:
        return None
    return Due(index, rule, skeleton, orjson.loads(detail))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values)) or "NULL"
