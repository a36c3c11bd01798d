"""Counts by postings agree with counts by hand, on SQLite and on PostgreSQL alike."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audit import counting
from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append
from audit.query import Queries, Wanted
from audit.store import open_store
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 10, 24, 12, tzinfo=UTC)
KINDS = ("access", "access", "access", "refusal", "failure", "grant.given")
ORGANISATIONS = ("21990001600011", "73282932000074", "13990001300018")


def entries(count: int, *, seed: int = 1) -> list[Append]:
    """Over nine days, among them the night in which the clocks go back; nearly in order of time."""
    rng = random.Random(seed)  # noqa: S311  # a load, not a secret
    made = []
    for number in range(count):
        time = START + timedelta(seconds=number * 9 * 86_400 / count + rng.uniform(-5, 5))
        skeleton = {
            "v": 1,
            "kind": rng.choice(KINDS),
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": str(number),
            "outcome": "ok",
            "dataset": rng.choice(["a", "b", "a,b"]),
            "recipient": rng.choice(ORGANISATIONS),
        }
        made.append(Append(skeleton))
    return made


@pytest.fixture
def queries(database_url: str, key: NoteSigner):
    with filled(database_url, key, entries(4_000)) as reading:
        yield reading


@contextmanager
def filled(url: str, key: NoteSigner, appends: Sequence[Append]) -> Iterator[Queries]:
    store = open_store(url)
    log = Log.open(store, key, origin=ORIGIN, max_queue=100_000, timeout=60)

    async def fill() -> None:
        await asyncio.gather(*(log.append(one) for one in appends))

    asyncio.run(fill())
    yield Queries(store)
    log.close()


def by_hand(wanted: Wanted) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    days: Counter[tuple[str, str]] = Counter()
    organisations: Counter[str] = Counter()
    for append in entries(4_000):
        entry = append.skeleton
        moment = datetime.fromisoformat(str(entry["time"]))
        if entry["kind"] == "grant.given" or not _is_wanted(entry, wanted, moment):
            continue
        days[moment.astimezone(PARIS).date().isoformat(), str(entry["kind"])] += 1
        organisations[str(entry["recipient"])] += 1
    return days, organisations


def _is_wanted(entry, wanted: Wanted, moment: datetime) -> bool:
    return (
        (wanted.since is None or moment.timestamp() >= wanted.since)
        and (wanted.until is None or moment.timestamp() < wanted.until)
        and all(value in str(entry[name]).split(",") for name, value in wanted.terms.items())
    )


def test_a_count_is_the_one_by_hand_for_every_filter_and_period(queries: Queries) -> None:
    begins = int(START.timestamp())
    for wanted in (
        Wanted(),
        Wanted({"dataset": "a"}),
        Wanted({"recipient": ORGANISATIONS[1], "kind": "refusal"}),
        Wanted({"dataset": "b"}, since=begins + 86_400, until=begins + 3 * 86_400 + 17),
        Wanted(since=begins + 5 * 86_400),
        Wanted({"dataset": "nothing"}),
    ):
        counts = queries.count(wanted)
        days = Counter(
            {(day.isoformat(), kind): found for day, kinds in counts.days.items() for kind, found in kinds.items()}
        )
        assert (days, counts.organisations) == by_hand(wanted), wanted
        assert counts.total == sum(days.values())
        assert not counts.left_out


MANY = [f"{number:014}" for number in range(700)]


@pytest.fixture
def crowded(database_url: str, key: NoteSigner):
    """Hundreds of organisations in turn, and requests of nobody among theirs."""
    skeletons = [
        {**one.skeleton, "kind": "access", "recipient": MANY[at % 700]} for at, one in enumerate(entries(2_100))
    ]
    for skeleton in skeletons[5::500]:
        del skeleton["recipient"]
    with filled(database_url, key, [Append(one) for one in skeletons]) as reading:
        yield reading


def test_every_organisation_is_counted_however_many_there_are_and_so_is_who_is_none(crowded: Queries) -> None:
    counts = crowded.count(Wanted())
    assert set(counts.organisations) == set(MANY)
    assert (counts.total, counts.nameless) == (2_100, 5)
    assert sum(counts.organisations.values()) == 2_095
    assert not counts.left_out


def test_one_organisation_among_hundreds_is_counted_alone(crowded: Queries) -> None:
    for siret in (MANY[0], MANY[650], MANY[-1]):
        counts = crowded.count(Wanted({"recipient": siret}))
        assert (counts.total, dict(counts.organisations), counts.nameless) == (3, {siret: 3}, 0)


def test_a_count_looks_at_a_bounded_number_of_blocks_the_newest_and_says_so(queries: Queries, monkeypatch) -> None:
    monkeypatch.setattr(counting, "MAX_BLOCKS", 3)
    counts = queries.count(Wanted())
    assert counts.left_out
    newest = Counter(str(one.skeleton["kind"]) for one in entries(4_000)[12 * 256 :])
    assert counts.total == sum(found for kind, found in newest.items() if kind != "grant.given")
