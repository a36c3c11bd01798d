"""The commit, on SQLite and on PostgreSQL alike: order, spent and closed keys, proofs, recovery."""

import asyncio
import json
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import NoteSigner
from audit.entry import canonical
from audit.log import Log
from audit.merkle import leaf_hash
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append, LogBroken, LogUnavailable
from audit.proof import TlogProof
from audit.query import Queries
from audit.store import open_store
from audit.verifier import VerificationFailed, verify_proof_file
from audit.verify_database import verify_database
from tests.audit.conftest import ORIGIN, migrate

pytestmark = pytest.mark.enable_socket


def access(number: int, *, grant: str = "g", citizen: str = "c", once: bool = False) -> Append:
    skeleton = {
        "v": 1,
        "kind": "access",
        "time": "2026-11-24T00:00:00.000Z",
        "request_id": str(number),
        "outcome": "ok",
        "fields": ["quotient_familial.valeur"],
    }
    mode = "once" if once else "recurring"
    detail = {"citizen": citizen, "grant_id": grant, "access": mode}
    return Append(skeleton, detail, spends=(f"once:{grant}",) if once else (), requires=(f"grant:{grant}",))


def withdrawal(grant: str = "g") -> Append:
    skeleton = {"v": 1, "kind": "grant.withdrawn", "time": "t", "request_id": "w", "outcome": "ok"}
    return Append(skeleton, {"citizen": "c", "grant_id": grant}, closes=(f"grant:{grant}",))


@pytest.fixture
def log(database_url: str, key: NoteSigner) -> Iterator[Log]:
    opened = Log.open(open_store(database_url), key, origin=ORIGIN)
    yield opened
    opened.close()
    verdict = verify_database(database_url, key.vkey)
    assert verdict.ok, verdict.findings


@pytest.fixture
def queries(database_url: str) -> Iterator[Queries]:
    store = open_store(database_url)
    yield Queries(store)
    store.close()


def test_each_receipt_proves_its_entry_offline(log: Log, queries: Queries, key: NoteSigner) -> None:
    async def many() -> list[object]:
        return list(await asyncio.gather(*(log.append(access(number)) for number in range(700))))

    receipts = asyncio.run(many())
    assert sorted(receipt.index for receipt in receipts) == list(range(700))  # type: ignore[attr-defined]  # receipts
    for receipt in receipts[::50]:
        index, proof = receipt.index, receipt.proof  # type: ignore[attr-defined]  # idem
        entry = queries.entry(index)
        assert entry is not None
        for text in (proof, queries.proof(index)):
            checkpoint = TlogProof.parse(text).verify(leaf_hash(entry.leaf), key.verifier())
            assert checkpoint.size > index


def test_nothing_is_read_after_its_authorisation_was_withdrawn(log: Log) -> None:
    assert log.append_blocking(access(1)).refused is None
    assert log.append_blocking(withdrawal()).refused is None
    assert log.append_blocking(access(2)).refused == GRANT_CLOSED
    assert log.append_blocking(access(3, grant="other")).refused is None


def test_of_a_hundred_simultaneous_uses_of_a_single_one_exactly_one_succeeds(log: Log) -> None:
    async def uses() -> list[str | None]:
        found = await asyncio.gather(*(log.append(access(number, once=True)) for number in range(100)))
        return [receipt.refused for receipt in found]

    refused = asyncio.run(uses())
    assert refused.count(None) == 1
    assert refused.count(ALREADY_SPENT) == 99


def test_a_refused_append_stands_in_the_log_as_a_refusal(log: Log, queries: Queries) -> None:
    log.append_blocking(withdrawal())
    receipt = log.append_blocking(access(7))
    entry = queries.entry(receipt.index)
    assert entry is not None
    skeleton = json.loads(entry.leaf)
    assert (skeleton["kind"], skeleton["outcome"], skeleton["request_id"]) == ("refusal", GRANT_CLOSED, "7")


def test_a_citizen_finds_her_accesses_newest_first_page_by_page(log: Log, queries: Queries) -> None:
    for number in range(5):
        log.append_blocking(access(number, citizen="hers"))
        log.append_blocking(access(number, citizen="another's"))
    first = queries.accesses_of("hers", limit=3)
    rest = queries.accesses_of("hers", before=first.older, limit=3)
    assert [one.skeleton["request_id"] for one in (*first.records, *rest.records)] == ["4", "3", "2", "1", "0"]
    assert rest.older is None


def test_a_proof_file_proves_and_any_changed_byte_of_it_does_not(log: Log, queries: Queries, key: NoteSigner) -> None:
    index = log.append_blocking(access(1)).index
    log.append_blocking(access(2))
    entry = queries.entry(index)
    assert entry is not None
    assert entry.salt is not None
    assert entry.detail is not None
    file = {
        "entry": entry.leaf.decode(),
        "salt": entry.salt.hex(),
        "detail": entry.detail.decode(),
        "proof": queries.proof(index),
    }
    content = json.dumps(file).encode()
    assert verify_proof_file(content, key.vkey).index == index
    for name in ("entry", "salt", "detail", "proof"):
        text = file[name]
        for place in range(0, len(text), max(1, len(text) // 40)):
            other = "0" if text[place] != "0" else "1"
            changed = json.dumps(file | {name: text[:place] + other + text[place + 1 :]}).encode()
            with pytest.raises(VerificationFailed):
                verify_proof_file(changed, key.vkey)


def test_a_log_opened_again_goes_on_where_it_was(database_url: str, key: NoteSigner) -> None:
    for _ in range(3):
        log = Log.open(open_store(database_url), key, origin=ORIGIN)
        for number in range(3):
            log.append_blocking(access(number))
        asyncio.run(_fill(log, 260))
        log.close()
    verdict = verify_database(database_url, key.vkey)
    assert verdict.ok, verdict.findings
    assert verdict.size == 3 * 263


async def _fill(log: Log, count: int) -> None:
    await asyncio.gather(*(log.append(access(number)) for number in range(count)))


def test_two_processes_write_one_log(database_url: str, key: NoteSigner) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(database_url, key.private_text(), 200)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    verdict = verify_database(database_url, key.vkey)
    assert verdict.ok, verdict.findings
    assert verdict.size == 400


def _write(database_url: str, private: str, count: int) -> None:
    log = Log.open(open_store(database_url), NoteSigner.parse(private), origin=ORIGIN)
    for number in range(count):
        log.append_blocking(access(number))
    log.close()


def test_a_writer_killed_at_any_moment_leaves_a_sound_log(database_url: str, key: NoteSigner) -> None:
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        writer = context.Process(target=_write, args=(database_url, key.private_text(), 100_000))
        writer.start()
        _until_it_grows(database_url, key)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join(10)
        verdict = verify_database(database_url, key.vkey)
        assert verdict.ok, verdict.findings
    Log.open(open_store(database_url), key, origin=ORIGIN).close()


def _until_it_grows(database_url: str, key: NoteSigner) -> None:
    before = verify_database(database_url, key.vkey).size
    deadline = time.monotonic() + 30
    while verify_database(database_url, key.vkey).size < before + 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_full_queue_refuses_rather_than_waits(database_url: str, key: NoteSigner) -> None:
    log = Log.open(open_store(database_url), key, origin=ORIGIN, max_queue=0)
    with pytest.raises(LogUnavailable):
        log.append_blocking(access(1))
    log.close()


def test_a_log_whose_key_is_another_does_not_open(database_url: str, key: NoteSigner) -> None:
    log = Log.open(open_store(database_url), key, origin=ORIGIN)
    log.append_blocking(access(1))
    log.close()
    store = open_store(database_url)
    with pytest.raises(LogBroken):
        Log.open(store, NoteSigner.generate(ORIGIN), origin=ORIGIN)
    store.close()


_FORBIDDEN = [
    "UPDATE log_entries SET leaf = leaf",
    "DELETE FROM log_entries",
    "UPDATE log_details SET detail = detail",
    "DELETE FROM log_details",
    "UPDATE log_checkpoints SET note = note",
    "DELETE FROM log_checkpoints",
    "DELETE FROM log_spent_keys",
    "UPDATE log_closed_keys SET key = key",
    "DELETE FROM log_closed_keys",
    "UPDATE log_checkpoints SET frontier = frontier",
]


@pytest.mark.parametrize("statement", [*_FORBIDDEN, "TRUNCATE log_entries", "INSERT OR REPLACE"])
def test_the_database_itself_refuses_to_rewrite_the_log(log: Log, database_url: str, statement: str) -> None:
    log.append_blocking(access(1, once=True))
    log.append_blocking(withdrawal("other"))
    if database_url.startswith("sqlite"):
        _refused_by_sqlite(database_url.removeprefix("sqlite:///"), statement)
    else:
        _refused_by_postgresql(database_url, statement)


def _refused_by_sqlite(path: str, statement: str) -> None:
    replace = "INSERT OR REPLACE INTO log_entries (\"index\", leaf) VALUES (0, x'00')"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA recursive_triggers=ON")
        with pytest.raises(sqlite3.Error):
            connection.execute(replace if statement == "INSERT OR REPLACE" else statement)


def _refused_by_postgresql(url: str, statement: str) -> None:
    upsert = (
        "INSERT INTO log_entries (\"index\", leaf) VALUES (0, 'x') ON CONFLICT (\"index\") DO UPDATE SET leaf = 'x'"
    )
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error):
        connection.execute(upsert if statement == "INSERT OR REPLACE" else statement)  # type: ignore[arg-type]  # ours


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE log_entries SET leaf = x'7b7d' WHERE \"index\" = 3",
        'DELETE FROM log_entries WHERE "index" = 599',
        "UPDATE log_details SET detail = x'7b7d' WHERE \"index\" = 3",
        "UPDATE log_tiles SET hashes = zeroblob(8192) WHERE tile = 1",
        "UPDATE log_checkpoints SET note = replace(note, 'a', 'b')",
        "DELETE FROM log_closed_keys",
        "UPDATE log_checkpoints SET frontier = zeroblob(length(frontier))",
    ],
)
def test_whatever_is_changed_behind_the_triggers_is_found(tmp_path: object, key: NoteSigner, tampering: str) -> None:
    path = f"{tmp_path}/log.sqlite"
    migrate(f"sqlite:///{path}")
    log = Log.open(open_store(f"sqlite:///{path}"), key, origin=ORIGIN)
    asyncio.run(_fill(log, 600))
    log.append_blocking(withdrawal())
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(tampering)
        connection.commit()
    verdict = verify_database(f"sqlite:///{path}", key.vkey)
    assert not verdict.ok


_VALUES = st.one_of(
    st.text(max_size=20), st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.lists(st.text(max_size=9))
)


@given(st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz_.", min_size=1, max_size=12), _VALUES, max_size=8))
def test_entries_are_canonical_json_as_another_implementation_writes_it(value: dict[str, object]) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON values
