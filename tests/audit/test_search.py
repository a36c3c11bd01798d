"""Whatever way the log is read, exactly the entries that were asked for come, each once, newest first.

What an index finds is compared with a plain look at every entry, on SQLite and on PostgreSQL alike, with limits so
small that a search stops and goes on many times.
"""

import asyncio
import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import counting, query, search
from audit.auditors import Auditor
from audit.blocks import BLOCK
from audit.checkpoint import NoteSigner
from audit.filters import SEALED, TERMS, Filter
from audit.log import Log
from audit.model import Append
from audit.ports import Act
from audit.query import ACCESS_KINDS, Queries, Wanted
from audit.reading import ReadingRoom
from audit.store import open_store
from tests.audit.conftest import ORIGIN
from tests.audit.test_counting import ORGANISATIONS

pytestmark = pytest.mark.enable_socket

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 10, 20, tzinfo=UTC)
COUNT = 5 * BLOCK + 20
EVERYTHING = Auditor("a_" + "1" * 64, "auditor", None)
VALUES: Mapping[str, Sequence[str]] = {
    "recipient": ORGANISATIONS,
    "delegate": ("", "", *ORGANISATIONS[1:]),
    "client": ("portal", "counter"),
    "dataset": ("a", "b", "a,b"),
    "purpose": ("school", "canteen", "school,canteen"),
    "legal_basis": ("consent", "public_task"),
    "provider": ("p", "q"),
    "kind": ("access", "access", "refusal", "failure", "grant.given"),
    "outcome": ("ok", "grant_withdrawn"),
}
RARE_TERM = "holder_timeout"
"""An outcome of an entry in every second block."""


@dataclass(frozen=True)
class Entry:
    """One of the log, as it is looked at by hand."""

    index: int
    skeleton: Mapping[str, Any]
    detail: Mapping[str, Any]

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.skeleton["time"])

    def is_asked(self, asked: Filter) -> bool:
        since, until = asked.period
        said = {**self.skeleton, **self.detail}
        names = {**TERMS, **SEALED, "request_id": "request_id", "field": "fields"}
        return (
            (since is None or self.moment.timestamp() >= since)
            and (until is None or self.moment.timestamp() < until)
            and all(value in _parts(said.get(names[name])) for name, value in asked.given.items() if name in names)
        )


def _parts(said: object) -> list[str]:
    return said if isinstance(said, list) else str(said or "").split(",")


@lru_cache(maxsize=1)
def entries() -> Sequence[Entry]:
    """Nearly in order of time. Some blocks lack a value that others are full of: what two terms share is far apart."""
    rng = random.Random(7)  # noqa: S311  # a load, not a secret
    made = []
    for index in range(COUNT):
        block, at = divmod(index, BLOCK)
        offered = {name: values if block % 3 else values[:2] for name, values in VALUES.items()}
        skeleton: dict[str, Any] = {name: one for name, values in offered.items() if (one := rng.choice(values))}
        time = START + timedelta(minutes=10 * index + rng.uniform(-300, 300))
        skeleton |= {
            "v": 1,
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": f"r{index}",
            "fields": rng.choice([["a.x"], ["a.x", "a.y"], ["b.z"]]),
        }
        if block % 2 == 0 and at == 9:
            skeleton |= {"outcome": RARE_TERM, "recipient": ORGANISATIONS[0]}
        citizen = rng.choice("cccd") if index % 300 else "e"
        made.append(Entry(index, skeleton, {"citizen": citizen, "grant_id": f"g{index % 200}"}))
    return made


class Unwritten:
    """A journal of readings that leaves the log as it is: what is found stays what it was."""

    def record(self, act: Act) -> int:
        return 0


@pytest.fixture
def queries(database_url: str, key: NoteSigner) -> Iterator[Queries]:
    store = open_store(database_url)
    log = Log.open(store, key, origin=ORIGIN, max_queue=100_000, timeout=60)

    async def fill() -> None:
        await asyncio.gather(*(log.append(Append(one.skeleton, one.detail)) for one in entries()))

    asyncio.run(fill())
    yield Queries(store)
    log.close()


ASKED: Mapping[str, Sequence[str]] = {
    **{
        parameter: sorted({*",".join(VALUES[name]).split(",")} - {""})
        for parameter, name in TERMS.items()
        if name in VALUES
    },
    "outcome": ("ok", "grant_withdrawn", RARE_TERM, "never"),
    "field": ("a.x", "a.y", "b.z"),
    "since": ("2026-10-20", "2026-10-24", "2026-10-27T08:30:00Z", "2027-01-01"),
    "until": ("2026-10-19", "2026-10-25", "2026-10-30T08:30:00Z", "2026-12-31"),
    "citizen": ("c", "e", "nobody"),
    "grant": ("g0", "g7"),
    "request_id": ("r0", f"r{COUNT - 1}", "r300"),
}
"""For each parameter of a filter, values that many, few or no entries have."""


def asks() -> st.SearchStrategy[Filter]:
    """Up to three parameters at once."""
    pairs = st.sampled_from(sorted(ASKED)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(ASKED[name])))
    stated = {"ground": "complaint", "case": "1"}
    return (
        st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0])
        .map(dict)
        .map(lambda found: Filter(**found, **(stated if found.keys() & SEALED.keys() else {})))
    )


@dataclass(frozen=True)
class Limits:
    """How little is read at once."""

    postings: int
    entries: int
    some: int
    page: int

    def set(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(search, "MAX_POSTINGS", self.postings)
        patch.setattr(search, "_FEWEST_POSTINGS", 1)
        patch.setattr(search, "MAX_ENTRIES", self.entries)
        patch.setattr(search, "_SOME", self.some)
        patch.setattr(query, "STREAM_PAGE", self.page)
        patch.setattr(counting, "_AT_ONCE", 2)


LIMITS = st.builds(
    Limits,
    postings=st.sampled_from([0, 2, 6]),
    entries=st.sampled_from([300, 5_000]),
    some=st.sampled_from([20, 500]),
    page=st.sampled_from([40, 200]),
)
_SLOWLY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_hand(asked: Filter, kinds: Sequence[str] = ()) -> list[Entry]:
    """Newest first."""
    return [one for one in reversed(entries()) if one.is_asked(asked) and (not kinds or one.skeleton["kind"] in kinds)]


def paged(queries: Queries, wanted: Wanted, *, limit: int) -> list[int]:
    """The indexes of every page until none is older."""
    found = queries.find(wanted, limit=limit)
    indexes = [one.index for one in found.records]
    while (before := found.older) is not None:
        found = queries.find(wanted, before=before, limit=limit)
        assert found.older is None or found.older < before
        indexes += [one.index for one in found.records]
    return indexes


@_SLOWLY
@given(asks(), st.sets(st.sampled_from([*ACCESS_KINDS, "grant.given"]), max_size=3), LIMITS)
def test_pages_and_streams_hold_every_entry_that_is_wanted_once_and_newest_first(queries, asked, kinds, limits):
    wanted = replace(asked.wanted(), kinds=tuple(sorted(kinds)))
    expected = [one.index for one in by_hand(asked, wanted.kinds)]
    with pytest.MonkeyPatch.context() as patch:
        limits.set(patch)
        assert paged(queries, wanted, limit=limits.page) == expected
        assert [one.index for one in queries.stream(wanted, below=COUNT)] == expected


@_SLOWLY
@given(asks(), LIMITS)
def test_an_export_holds_every_entry_that_was_asked_for(queries, asked, limits):
    with pytest.MonkeyPatch.context() as patch:
        limits.set(patch)
        archive = b"".join(ReadingRoom(queries, Unwritten()).export(EVERYTHING, asked, "jsonl"))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        lines = opened.read("accesses.jsonl").splitlines()
    assert [json.loads(line)["index"] for line in lines] == [one.index for one in by_hand(asked)]


@_SLOWLY
@given(asks(), LIMITS)
def test_patterns_are_looked_for_among_all_that_was_asked_for(queries, asked, limits):
    room = ReadingRoom(queries, Unwritten())
    usual = room.patterns(EVERYTHING, asked)
    with pytest.MonkeyPatch.context() as patch:
        limits.set(patch)
        assert room.patterns(EVERYTHING, asked) == usual
    assert usual.found.observations == len(by_hand(asked, ACCESS_KINDS))


@_SLOWLY
@given(asks(), LIMITS)
def test_a_count_is_of_every_entry_that_was_asked_for(queries, asked, limits):
    countable = replace(asked, citizen="", grant="", request_id="")
    with pytest.MonkeyPatch.context() as patch:
        limits.set(patch)
        counts = ReadingRoom(queries, Unwritten()).count(EVERYTHING, countable)
    expected = by_hand(countable, ACCESS_KINDS)
    assert counts.organisations == Counter(one.skeleton["recipient"] for one in expected)
    assert counts.total == len(expected)
    assert {day: dict(kinds) for day, kinds in counts.days.items()} == _by_day(expected)


def _by_day(found: Sequence[Entry]) -> dict[object, dict[str, int]]:
    days: dict[object, dict[str, int]] = {}
    for one in found:
        kinds = days.setdefault(one.moment.astimezone(PARIS).date(), {})
        kinds[one.skeleton["kind"]] = kinds.get(one.skeleton["kind"], 0) + 1
    return days


def test_what_was_found_before_a_search_stopped_is_given_with_it(queries, monkeypatch):
    monkeypatch.setattr(search, "MAX_POSTINGS", 10)
    asked = Filter(organisation=ORGANISATIONS[0], outcome=RARE_TERM)
    expected = [one.index for one in by_hand(asked)]
    assert expected
    assert paged(queries, asked.wanted(), limit=50) == expected
