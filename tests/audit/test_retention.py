"""What is due at the end of its retention, and what a log is without it, on SQLite and on PostgreSQL alike."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from random import Random

import pytest

from audit.blocks import lookup_key
from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.merkle import leaf_hash
from audit.model import Append, Receipt
from audit.proof import TlogProof
from audit.query import Queries
from audit.retention import MOST_AT_ONCE, Due, Rule, Schedule, due, fingerprint, untie
from audit.search import written
from audit.store import Store, open_store
from audit.verifier import UNTIED
from audit.verify_database import verify_database
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

NEW_YEAR = 1_767_225_600
"""1 January 2026, UTC."""
DAY = 86_400
SCHEDULE = Schedule(
    {"a": Rule(NEW_YEAR + 60 * DAY, "a", "P6M"), "b": Rule(NEW_YEAR + 30 * DAY, "b", "P1Y")},
    without=Rule(NEW_YEAR + 45 * DAY, "", "P1Y"),
    unknown=Rule(NEW_YEAR, "", "P3Y"),
)
DATASETS = ("a", "b", "a,b", "", "gone")


def entry(number: int, *, day: int, dataset: str = "a", sealed: bool = True, spends: Sequence[str] = ()) -> Append:
    skeleton = {"v": 1, "kind": "access", "time": _time(day), "request_id": f"r{number}", "outcome": "ok"}
    detail = {"citizen": f"citizen-{number % 7}", "grant_id": f"g{number % 11}"} if sealed else {}
    return Append(skeleton | ({"dataset": dataset} if dataset else {}), detail, spends=tuple(spends))


def applied(found: Sequence[Due], *, releases: Sequence[str] = ()) -> Append:
    """The entry of a batch, as ``exchange`` writes it."""
    indexes = sorted(one.index for one in found)
    skeleton = {
        "v": 1,
        "kind": "retention.applied",
        "time": _time(99),
        "request_id": "run",
        "outcome": "ok",
        "dataset": found[0].rule.dataset,
        "before": found[0].rule.cut_off,
        "retention": found[0].rule.duration,
        "erased": len(indexes),
        "first": indexes[0],
        "last": indexes[-1],
        "erased_sha256": fingerprint(indexes),
    }
    lookups = tuple(lookup for one in found for lookup in one.lookups)
    return Append(skeleton, erases=tuple(indexes), forgets=lookups, releases=tuple(releases))


def _time(day: int) -> str:
    return written(NEW_YEAR + day * DAY + DAY // 2)


@pytest.fixture
def log(database_url: str, key: NoteSigner) -> Iterator[Log]:
    with closing(Log.open(open_store(database_url), key, origin=ORIGIN, max_queue=10_000, timeout=60)) as opened:
        yield opened


def fill(log: Log, appends: Sequence[Append]) -> list[Receipt]:
    async def _all() -> list[Receipt]:
        return list(await asyncio.gather(*(log.append(one) for one in appends)))

    return asyncio.run(_all())


def rows(store: Store, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    with store.reading() as session:
        return session.rows(statement, parameters)


def test_what_is_due_is_what_a_look_at_every_entry_says(log: Log, store: Store) -> None:
    random = Random(4)  # noqa: S311  # any log will do, the same each time
    appends = [
        entry(number, day=min(number // 24 + random.randint(0, 3), 90), dataset=random.choice(DATASETS), sealed=sealed)
        for number, sealed in ((at, random.random() > 0.1) for at in range(2_100))
    ]
    fill(log, appends)
    found = {one.index: one.rule for one in due(store, SCHEDULE)}
    told = {}
    for index, leaf, detail in rows(
        store, 'SELECT "index", leaf, detail FROM log_entries JOIN log_details USING ("index")'
    ):
        skeleton = json.loads(bytes(leaf))  # type: ignore[arg-type]  # as the driver gives it
        rules = [SCHEDULE.of([name]) for name in skeleton.get("dataset", "").split(",")]
        kept_longest = min(rules, key=lambda rule: rule.before)
        if skeleton["time"] < kept_longest.cut_off and bytes(detail) != b"{}":  # type: ignore[arg-type]  # idem
            told[index] = kept_longest
    assert found == told
    assert {rule.dataset for rule in told.values()} == {"a", "b", ""}


def test_an_entry_about_several_datasets_is_kept_as_long_as_the_longest(log: Log, store: Store) -> None:
    fill(log, [entry(0, day=40, dataset="a,b"), entry(1, day=40, dataset="a"), entry(2, day=20, dataset="b,a")])
    assert {one.index: one.rule.dataset for one in due(store, SCHEDULE)} == {1: "a", 2: "b"}


def test_a_dataset_that_is_no_longer_known_is_kept_longest(log: Log, store: Store) -> None:
    fill(log, [entry(0, day=0, dataset="gone"), entry(1, day=0, dataset="a,gone")])
    assert list(due(store, SCHEDULE)) == []
    later = Schedule(SCHEDULE.datasets, without=SCHEDULE.without, unknown=Rule(NEW_YEAR + DAY, "", "P3Y"))
    assert [one.rule.dataset for one in due(store, later)] == ["gone", "gone"]


def test_what_was_erased_is_gone_and_everything_else_still_verifies(
    log: Log, store: Store, database_url: str, key: NoteSigner
) -> None:
    receipts = fill(log, [entry(number, day=number // 12) for number in range(900)])
    queries = Queries(store)
    old_proofs = {one.index: queries.proof(one.index) for one in receipts[::90]}
    found = list(due(store, SCHEDULE))
    assert len(found) == 60 * 12
    for at in range(0, len(found), 300):
        log.append_blocking(applied(found[at : at + 300]))
    gone = {one.index for one in found}
    kept = {row[0] for row in rows(store, 'SELECT "index" FROM log_details WHERE "index" < 900')}
    assert kept == set(range(900)) - gone
    for citizen in {f"citizen-{number}" for number in range(7)}:
        found_by = rows(store, 'SELECT "index" FROM log_lookups WHERE key = ?', lookup_key("citizen", citizen))
        assert not gone & {row[0] for row in found_by}
    assert {row[0] for row in rows(store, 'SELECT "index" FROM log_erased')} == gone
    for receipt in receipts[::90]:
        leaf = queries.entry(receipt.index)
        assert leaf is not None
        for proof in (receipt.proof, old_proofs[receipt.index], queries.proof(receipt.index)):
            TlogProof.parse(proof).verify(leaf_hash(leaf.leaf), key.verifier())
    assert list(due(store, SCHEDULE)) == []
    # Only what is kept is found by its citizen.
    assert {one.index for one in queries.accesses_of("citizen-3", limit=200).records} == {
        index
        for index in kept
        if index % 7 == 3  # type: ignore[operator]  # numbers
    }
    check(database_url, key)


def check(database_url: str, key: NoteSigner) -> None:
    verdict = verify_database(database_url, key.vkey)
    assert verdict.ok, verdict.findings


@pytest.mark.parametrize("erased_by", ["its own writer", "another"])
def test_a_detail_erased_before_its_block_is_full_never_gets_a_lookup(
    log: Log, store: Store, database_url: str, key: NoteSigner, erased_by: str
) -> None:
    """The writer that filled the block before holds this one in memory."""
    with closing(Log.open(open_store(database_url), key, origin=ORIGIN)) as other:
        fill(log, [entry(number, day=0) for number in range(300)])
        eraser = log if erased_by == "its own writer" else other
        eraser.append_blocking(applied(list(due(store, SCHEDULE))))
        fill(log, [entry(1, day=90) for _ in range(250)])
    found = rows(store, 'SELECT "index" FROM log_lookups WHERE key = ?', lookup_key("citizen", "citizen-1"))
    assert sorted(row[0] for row in found) == list(range(301, 512))  # type: ignore[type-var]  # numbers
    check(database_url, key)


def test_an_erasure_that_itself_fills_the_block_leaves_no_lookup(
    log: Log, store: Store, database_url: str, key: NoteSigner
) -> None:
    fill(log, [entry(number, day=0) for number in range(255)])
    log.append_blocking(applied(list(due(store, SCHEDULE))))
    assert rows(store, "SELECT count(*) FROM log_lookups") == [(256,)]
    check(database_url, key)


def test_a_key_goes_with_its_entry_and_not_before(log: Log, store: Store, database_url: str, key: NoteSigner) -> None:
    fill(log, [entry(0, day=0, spends=["dpop:1"]), entry(1, day=90, spends=["dpop:2"])])
    log.append_blocking(applied(list(due(store, SCHEDULE)), releases=["dpop:1", "dpop:2", "dpop:3"]))
    assert rows(store, "SELECT key FROM log_spent_keys") == [("dpop:2",)]
    assert log.append_blocking(entry(3, day=90, spends=["dpop:2"])).refused is not None
    check(database_url, key)


def test_a_key_that_must_stay_outlives_its_entry_without_leading_to_it(
    log: Log, store: Store, database_url: str, key: NoteSigner
) -> None:
    """More keys than are untied at once, in another order than they were spent; one is of an entry that is kept."""
    count = MOST_AT_ONCE + 10
    names = [f"once:{(number * 7_919) % count:05}" for number in range(count)]
    fill(log, [entry(number, day=0, spends=[name]) for number, name in enumerate(names)])
    fill(log, [entry(0, day=0, spends=["dpop:1"]), entry(0, day=90, spends=["once:kept"])])
    found = list(due(store, SCHEDULE))
    for at in range(0, len(found), 1_000):
        log.append_blocking(applied(found[at : at + 1_000]))
    batches: list[None] = []
    untie(store, "once:", between=lambda: batches.append(None))
    assert len(batches) > 2
    kept = {row[0]: row[1] for row in rows(store, 'SELECT key, "index" FROM log_spent_keys')}
    assert kept == {**dict.fromkeys(names, UNTIED), "dpop:1": count, "once:kept": count + 1}
    place = "rowid" if database_url.startswith("sqlite") else "ctid"
    lying = rows(store, f'SELECT key FROM log_spent_keys WHERE "index" = ? ORDER BY {place}', UNTIED)  # noqa: S608  # one of two words
    assert [row[0] for row in lying] == sorted(names)
    assert log.append_blocking(entry(1, day=90, spends=[names[0]])).refused is not None
    check(database_url, key)
    # Nothing more is known of it: it may go as soon as nothing needs it.
    fill(log, [entry(2, day=0)])
    log.append_blocking(applied(list(due(store, SCHEDULE)), releases=[names[0], "once:kept"]))
    gone = {row[0] for row in rows(store, "SELECT key FROM log_spent_keys")} ^ kept.keys()
    assert gone == {names[0]}
    check(database_url, key)


def test_a_key_is_not_untied_from_an_entry_that_is_there(
    log: Log, store: Store, database_url: str, key: NoteSigner
) -> None:
    """Whoever does it all the same is found out; and no key is closed by no entry."""
    fill(log, [entry(0, day=90)])
    with closing(store.connect()) as session:
        session.execute('INSERT INTO log_spent_keys (key, "index") VALUES (?, ?)', ("once:x", UNTIED))
        log.append_blocking(Append(entry(1, day=90).skeleton, {"grant_id": "g", "spent": "once:x"}))
        session.execute('INSERT INTO log_closed_keys (key, "index") VALUES (?, ?)', ("grant:x", UNTIED))
    places = [finding.place for finding in verify_database(database_url, key.vkey).findings]
    assert places == [f"key at entry {UNTIED}", "key at entry 1"]


def test_the_entry_says_which_were_erased(log: Log, store: Store) -> None:
    fill(log, [entry(number, day=0) for number in range(3)])
    found = list(due(store, SCHEDULE))
    assert fingerprint([2, 0, 1]) == sha256(bytes.fromhex("".join(f"{at:016x}" for at in range(3)))).hexdigest()
    assert [one.index for one in found] == [0, 1, 2]
    assert found[0].rule.cut_off == "2026-03-02T00:00:00.000Z"
