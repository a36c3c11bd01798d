"""The reading room: what auditors and operators may do with the log. Every act is an entry before anything is read.

1. the filter is narrowed to what the reader may see
2. the act is written into the log: no entry, no reading
3. the log is read; sealed details are kept back from who may not see them
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from audit.auditors import Auditor
from audit.counting import Counts
from audit.exports.archive import Export, export_chunks
from audit.exports.columns import Format
from audit.filters import Filter, narrowed
from audit.model import LogError
from audit.patterns import Found, Observation, find_patterns
from audit.ports import Act, ReadingJournal
from audit.query import MAX_LIMIT, Accesses, AccessRecord, Queries, seconds_of
from openapi.problem import AccordError, Fact

MAX_OBSERVATIONS = 100_000
"""Entries among which patterns are looked for: the newest of the period."""
MAX_FEED = 1_000
"""Entries of one answer of the feed."""
HEAVY_AT_ONCE = 2
"""Exports, counts and patterns under way in a process: exchanges must not wait for them."""

_NOTHING = Filter()


@dataclass(frozen=True, slots=True)
class OneEntry:
    """An entry, with what opens its seal for who may see it, and its proof."""

    record: AccessRecord
    leaf: bytes
    salt: bytes | None
    detail: bytes | None
    proof: str


@dataclass(frozen=True, slots=True)
class FeedPage:
    """What follows an index. ``next``: go on after this one; it grows even where nothing is for this reader."""

    records: Sequence[AccessRecord]
    next: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """What stands out, and whether the period holds more than was looked at."""

    found: Found
    left_out: bool


class ReadingRoom:
    """One of a process, shared by its threads.

    Raises :class:`AccordError`: ``auditor_not_allowed``, ``audit_busy``, ``not_found``, ``log_unavailable``.
    """

    def __init__(self, queries: Queries, journal: ReadingJournal, *, clock: Callable[[], float] = time.time) -> None:
        self._queries = queries
        self._journal = journal
        self._clock = clock
        self._heavy = threading.Semaphore(HEAVY_AT_ONCE)

    def search(self, reader: Auditor, asked: Filter, *, before: int | None = None, limit: int = 50) -> Accesses:
        """The newest entries that are asked for, below ``before``; ``limit``: at most 200."""
        asked = self._enter("search", reader, asked, {} if before is None else {"before": before})
        with _logged():
            found = self._queries.find(asked.wanted(), before=before, limit=min(limit, MAX_LIMIT))
        return replace(found, records=[_shown(record, reader) for record in found.records])

    def entry(self, reader: Auditor, index: int) -> OneEntry:
        """One entry with its proof."""
        asked = self._enter("entry", reader, _NOTHING, {"index": index})
        with _logged():
            stored = self._queries.entry(index)
            if stored is None or not asked.wanted().finds(stored.record):
                raise AccordError("not_found")
            proof = self._queries.proof(index)
        opened = reader.sees_details
        return OneEntry(
            _shown(stored.record, reader),
            stored.leaf,
            stored.salt if opened else None,
            stored.detail if opened else None,
            proof,
        )

    def export(self, reader: Auditor, asked: Filter, made: Format) -> Iterator[bytes]:
        """Everything that is asked for, as an archive with its manifest; memory does not grow with it."""
        asked = self._enter("export", reader, asked, {"format": made})
        with _logged():
            size, note = self._queries.checkpoint()
        export = Export(made, reader.sees_details, asked.given, note, self._clock())
        records = (_shown(one, reader) for one in self._queries.stream(asked.wanted(), below=size))
        return self._holding(export_chunks(records, export))

    def feed(self, reader: Auditor, *, after: int, limit: int = MAX_FEED) -> FeedPage:
        """The entries that follow index ``after`` (-1: from the first), oldest first."""
        asked = self._enter("feed", reader, _NOTHING, {"after": after})
        with _logged():
            records = self._queries.after(after, limit=min(limit, MAX_FEED))
        wanted = asked.wanted()
        following = records[-1].index if records else after
        return FeedPage([_shown(one, reader) for one in records if wanted.finds(one)], following)

    def count(self, reader: Auditor, asked: Filter) -> Counts:
        """How many, by day and by organisation. A filter by one person or request is not counted."""
        if asked.is_personal or asked.request_id:
            raise AccordError("request_malformed", field="citizen", expected="nothing: what is counted names nobody")
        asked = self._enter("count", reader, asked, {})
        with self._heavily(), _logged():
            return self._queries.count(asked.wanted())

    def patterns(self, reader: Auditor, asked: Filter) -> Patterns:
        """What stands out among the accesses, refusals and failures that are asked for."""
        asked = self._enter("patterns", reader, asked, {})
        with self._heavily(), _logged():
            size, _ = self._queries.checkpoint()
            records = self._queries.stream(replace(asked.wanted(), kinds=("access", "refusal", "failure")), below=size)
            found = find_patterns(_observed(_shown(one, reader)) for one in islice(records, MAX_OBSERVATIONS))
            return Patterns(found, next(records, None) is not None)

    def raw(self, reader: Auditor, facts: Mapping[str, str]) -> None:
        """Whole bundles of entries or details are about to be read (C2SP tlog-tiles)."""
        self._enter("bundle", reader, _NOTHING, facts)

    def _enter(self, act: str, reader: Auditor, asked: Filter, facts: Mapping[str, Fact]) -> Filter:
        asked = narrowed(asked, reader)
        self._journal.record(Act(act, reader, asked, facts))
        return asked

    @contextmanager
    def _heavily(self) -> Iterator[None]:
        if not self._heavy.acquire(timeout=1):
            raise AccordError("audit_busy", retry_in=5)
        try:
            yield
        finally:
            self._heavy.release()

    def _holding(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, while one of the places is held. It is taken before the first and given back after the last."""
        held = self._held(chunks)
        next(held)
        return held

    def _held(self, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
        with self._heavily(), _logged():
            yield b""
            yield from chunks


def _shown(record: AccessRecord, reader: Auditor) -> AccessRecord:
    return record if reader.sees_details else replace(record, detail={})


def _observed(record: AccessRecord) -> Observation:
    entry = record.skeleton
    citizen = record.detail.get("citizen")
    return Observation(
        index=record.index,
        time=seconds_of(entry),
        recipient=str(entry.get("recipient", "")),
        client=str(entry.get("client", "")),
        outcome=str(entry.get("outcome", "")),
        kind=str(entry.get("kind", "")),
        citizen=str(citizen) if citizen else None,
    )


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except LogError:
        raise AccordError("log_unavailable", retry_in=5) from None
