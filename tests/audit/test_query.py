"""What a citizen's accesses are found by, on SQLite and on PostgreSQL alike."""

import asyncio
from collections.abc import Iterator

import pytest

from audit.blocks import lookup_key
from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.merkle import leaf_hash
from audit.model import Append
from audit.proof import TlogProof
from audit.query import Queries, Wanted
from audit.search import MAX_ENTRIES
from audit.store import open_store
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

# Unix seconds of the first moment of 2 and 3 November 2026, in UTC.
SECOND, THIRD = 1_793_577_600, 1_793_664_000


def entry(number: int, *, kind: str = "access", time: str = "2026-11-01T00:00:00.000Z", recipient: str = "A") -> Append:
    skeleton = {"v": 1, "kind": kind, "time": time, "request_id": str(number), "recipient": recipient, "outcome": "ok"}
    return Append(skeleton, {"citizen": "hers"})


@pytest.fixture
def log(database_url: str, key: NoteSigner) -> Iterator[Log]:
    opened = Log.open(open_store(database_url), key, origin=ORIGIN, max_queue=100_000, timeout=60)
    yield opened
    opened.close()


@pytest.fixture
def queries(database_url: str) -> Iterator[Queries]:
    store = open_store(database_url)
    yield Queries(store)
    store.close()


async def _fill(log: Log, appends: list[Append]) -> None:
    await asyncio.gather(*(log.append(one) for one in appends))


def numbers(queries: Queries, **search: object) -> list[str]:
    found = queries.accesses_of("hers", wanted=Wanted(**search))  # type: ignore[arg-type]  # as Wanted has them
    return [str(one.skeleton["request_id"]) for one in found.records]


def test_a_page_is_full_however_many_other_entries_lie_between(log: Log, queries: Queries) -> None:
    kinds = ["access", "grant.given", "grant.withdrawn", "refusal", "grant.refused", "failure"]
    asyncio.run(_fill(log, [entry(number, kind=kinds[number % 6]) for number in range(600)]))
    first = queries.accesses_of("hers", limit=200)
    rest = queries.accesses_of("hers", before=first.older, limit=200)
    assert (len(first.records), len(rest.records), rest.older) == (200, 100, None)
    kinds_found = {one.skeleton["kind"] for one in (*first.records, *rest.records)}
    assert kinds_found == {"access", "refusal", "failure"}


def test_the_first_moment_belongs_to_a_search_and_the_last_does_not(log: Log, queries: Queries) -> None:
    times = ["2026-11-01T23:59:59.999Z", "2026-11-02T00:00:00.000Z", "2026-11-02T23:59:59.999Z"]
    asyncio.run(_fill(log, [entry(number, time=time) for number, time in enumerate(times)]))
    assert numbers(queries, since=SECOND) == ["2", "1"]
    assert numbers(queries, until=SECOND) == ["0"]
    assert numbers(queries, since=SECOND, until=THIRD) == ["2", "1"]
    assert numbers(queries, since=THIRD) == []


def test_a_recipient_is_found_by_its_whole_number_alone(log: Log, queries: Queries) -> None:
    asyncio.run(_fill(log, [entry(number, recipient=who) for number, who in enumerate(["A", "AB", "B", "A"])]))
    assert numbers(queries, terms={"recipient": "A"}) == ["3", "0"]
    assert numbers(queries, terms={"recipient": "%"}) == []


def test_a_search_looks_through_a_bounded_number_of_entries_and_says_where_it_stopped(
    log: Log, queries: Queries
) -> None:
    appends = [entry(number, recipient="A" if number == 0 else "B") for number in range(MAX_ENTRIES + 300)]
    asyncio.run(_fill(log, appends))
    cut = queries.accesses_of("hers", wanted=Wanted({"recipient": "A"}))
    assert list(cut.records) == []
    assert cut.older is not None
    rest = queries.accesses_of("hers", before=cut.older, wanted=Wanted({"recipient": "A"}))
    assert [one.index for one in rest.records] == [0]
    assert rest.older is None


def test_two_rare_values_of_one_entry_that_share_a_hash_fill_their_block_all_the_same(
    log: Log, queries: Queries
) -> None:
    request, citizen = "b165dce042ee22a9", "fcb996d7d00e2f17"
    assert lookup_key("request_id", request) == lookup_key("citizen", citizen)
    alike = Append({**entry(0).skeleton, "request_id": request}, {"citizen": citizen})
    asyncio.run(_fill(log, [alike, *(entry(number) for number in range(1, 300))]))
    for rare in ({"request_id": request}, {"citizen": citizen}):
        assert [one.index for one in queries.find(Wanted(rare=rare)).records] == [0]


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
def test_every_entry_is_proved_to_the_newest_checkpoint(
    log: Log, queries: Queries, key: NoteSigner, count: int
) -> None:
    asyncio.run(_fill(log, [entry(number) for number in range(count)]))
    for index in sorted({0, 1, 127, 255, 256, 511, 512, count // 2, count - 1} & set(range(count))):
        stored = queries.entry(index)
        assert stored is not None
        checkpoint = TlogProof.parse(queries.proof(index)).verify(leaf_hash(stored.leaf), key.verifier())
        assert checkpoint.size == count
