"""The reading room: whatever is read, the log says so first; nobody reads beyond her role."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from audit.auditors import Auditor
from audit.checkpoint import NoteSigner
from audit.exports.verification import verify_export
from audit.filters import Filter
from audit.log import Log
from audit.model import Append
from audit.ports import Act
from audit.query import Queries
from audit.reading import HEAVY_AT_ONCE, ReadingRoom
from audit.store import open_store
from audit.verifier import verify_proof_file
from exchange.auditing import LogReadings
from openapi.problem import AccordError
from tests.audit.conftest import ORIGIN
from tests.audit.test_counting import ORGANISATIONS, entries

pytestmark = pytest.mark.enable_socket

TOWN = ORGANISATIONS[0]
EVERYTHING = Auditor("a_" + "1" * 64, "auditor", None)
OF_THE_TOWN = Auditor("a_" + "2" * 64, "auditor", TOWN)
OPERATOR = Auditor("a_" + "3" * 64, "operator", None)
COUNT = 600
CITIZEN = "pseudonym-of-a-canary"


class Refusing:
    """A log that takes nothing."""

    def record(self, act: Act) -> int:
        raise AccordError("log_unavailable", retry_in=5)


@dataclass
class Room:
    room: ReadingRoom
    queries: Queries
    key: NoteSigner
    seen: int = field(default=COUNT)

    def new_entries(self) -> list[dict[str, object]]:
        """What was appended since the last look."""
        records = self.queries.after(self.seen - 1, limit=1000)
        self.seen += len(records)
        return [{**one.skeleton, "detail": one.detail} for one in records]


@pytest.fixture
def place(database_url: str, key: NoteSigner) -> Iterator[Room]:
    store = open_store(database_url)
    log = Log.open(store, key, origin=ORIGIN, max_queue=100_000, timeout=60)

    async def fill() -> None:
        made = [
            Append(one.skeleton, {"citizen": CITIZEN, "grant_id": f"g{at}"}) for at, one in enumerate(entries(COUNT))
        ]
        await asyncio.gather(*(log.append(one) for one in made))

    asyncio.run(fill())
    queries = Queries(store)
    yield Room(ReadingRoom(queries, LogReadings(log)), queries, key)
    log.close()


ACTS = {
    "search": lambda room, who: room.search(who, Filter(dataset="a")),
    "entry": lambda room, who: room.entry(who, _of_the_town(room)),
    "export": lambda room, who: list(room.export(who, Filter(dataset="a"), "jsonl")),
    "feed": lambda room, who: room.feed(who, after=-1),
    "count": lambda room, who: room.count(who, Filter(dataset="a")),
    "patterns": lambda room, who: room.patterns(who, Filter(dataset="a")),
    "bundle": lambda room, who: room.raw(who, {"path": "tile/entries/000"}),
}


def _of_the_town(room: ReadingRoom) -> int:
    return next(at for at, one in enumerate(entries(COUNT)) if one.skeleton["recipient"] == TOWN)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("reader", [EVERYTHING, OF_THE_TOWN, OPERATOR], ids=["auditor", "of the town", "operator"])
def test_every_act_is_one_entry_that_says_who_and_what(place: Room, act: str, reader: Auditor) -> None:
    ACTS[act](place.room, reader)
    (entry,) = place.new_entries()
    assert (entry["kind"], entry["act"], entry["reader"], entry["role"]) == (
        "audit.query",
        act,
        reader.subject,
        reader.role,
    )
    assert entry.get("recipient") == reader.organisation


@pytest.mark.parametrize("act", ACTS)
def test_what_cannot_be_logged_is_not_read(place: Room, act: str) -> None:
    room = ReadingRoom(place.queries, Refusing())
    with pytest.raises(AccordError, match="log_unavailable"):
        ACTS[act](room, EVERYTHING)


def test_whom_an_auditor_looked_up_is_sealed_and_why_is_not(place: Room) -> None:
    asked = Filter.parse({"citizen": CITIZEN, "ground": "complaint", "case": "2026-17", "dataset": "a"})
    found = place.room.search(EVERYTHING, asked)
    assert len(found.records) == 50
    (entry,) = place.new_entries()
    assert entry.pop("detail") == {"citizen": CITIZEN}
    assert (entry["filter"], entry["ground"], entry["case"]) == ("dataset=a", "complaint", "2026-17")
    assert CITIZEN not in json.dumps(entry)


def test_an_auditor_of_one_organisation_never_meets_another(place: Room) -> None:
    room = place.room
    found = room.search(OF_THE_TOWN, Filter(), limit=200)
    assert {one.skeleton["recipient"] for one in found.records} == {TOWN}
    assert {one.skeleton["recipient"] for one in room.feed(OF_THE_TOWN, after=-1).records} == {TOWN}
    assert set(room.count(OF_THE_TOWN, Filter()).organisations) == {TOWN}
    other = next(at for at, one in enumerate(entries(COUNT)) if one.skeleton["recipient"] != TOWN)
    with pytest.raises(AccordError, match="not_found"):
        room.entry(OF_THE_TOWN, other)
    exported = _content(b"".join(room.export(OF_THE_TOWN, Filter(), "jsonl")))
    assert {json.loads(line)["entry"]["recipient"] for line in exported.splitlines()} == {TOWN}


@pytest.mark.parametrize("made", ["csv", "jsonl", "parquet"])
def test_nothing_sealed_reaches_an_operator(place: Room, made: str) -> None:
    found = place.room.search(OPERATOR, Filter())
    assert all(not one.detail for one in found.records)
    one = place.room.entry(OPERATOR, 0)
    assert (one.salt, one.detail, dict(one.record.detail)) == (None, None, {})
    assert CITIZEN.encode() not in _content(b"".join(place.room.export(OPERATOR, Filter(), made)))
    assert CITIZEN.encode() in _content(b"".join(place.room.export(EVERYTHING, Filter(), "csv")))


@pytest.mark.parametrize("made", ["csv", "jsonl", "parquet"])
def test_an_export_holds_every_entry_and_names_the_head_that_was_signed(place: Room, made: str) -> None:
    archive = b"".join(place.room.export(EVERYTHING, Filter(), made))
    manifest = verify_export(io.BytesIO(archive), place.key.vkey)
    # The entry of the export itself is the newest of the head that it names.
    assert (manifest.count, manifest.first_index, manifest.last_index) == (COUNT + 1, 0, COUNT)


def test_an_entry_is_shown_with_a_proof_that_needs_no_trust(place: Room) -> None:
    one = place.room.entry(EVERYTHING, 5)
    assert one.salt is not None
    assert one.detail is not None
    file = {"entry": one.leaf.decode(), "salt": one.salt.hex(), "detail": one.detail.decode(), "proof": one.proof}
    assert verify_proof_file(json.dumps(file).encode(), place.key.vkey).index == 5


def test_the_feed_goes_on_where_it_stopped_and_misses_nothing(place: Room) -> None:
    after, seen = -1, []
    while (page := place.room.feed(OPERATOR, after=after, limit=100)).records and len(seen) < COUNT:
        seen += [one.index for one in page.records]
        after = page.next
    assert seen == list(range(len(seen)))
    assert len(seen) >= COUNT


def test_a_person_is_found_and_not_counted(place: Room) -> None:
    asked = Filter.parse({"grant": "g3", "ground": "judicial_request", "case": "7"})
    # The search itself is about her: its entry is found first.
    assert [one.index for one in place.room.search(EVERYTHING, asked).records] == [COUNT, 3]
    with pytest.raises(AccordError, match="request_malformed"):
        place.room.count(EVERYTHING, asked)


def test_only_some_exports_are_under_way_at_once_and_a_reader_who_leaves_gives_her_place_back(place: Room) -> None:
    under_way = [place.room.export(EVERYTHING, Filter(), "csv") for _ in range(HEAVY_AT_ONCE)]
    with pytest.raises(AccordError, match="audit_busy"):
        place.room.count(EVERYTHING, Filter())
    under_way.pop().close()  # type: ignore[attr-defined]  # a generator
    assert place.room.count(EVERYTHING, Filter()).total > 0


def _content(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(opened.namelist()[0])
