"""A log written under an earlier version of its tables goes on under the newest."""

import pytest
import sqlalchemy as sa

from audit.checkpoint import Checkpoint, NoteSigner
from audit.entry import canonical, seal
from audit.log import Log
from audit.merkle import Frontier, leaf_hash
from audit.store import open_store
from audit.verify_database import verify_database
from tests.audit.conftest import ORIGIN, engine_of, migrate
from tests.audit.test_log import access

pytestmark = pytest.mark.enable_socket

SALT, DETAIL = b"s" * 32, b"{}"
ENTRIES = 300


def test_a_log_of_the_first_tables_goes_on_under_the_newest(empty_database_url: str, key: NoteSigner) -> None:
    migrate(empty_database_url, to="0001")
    _write_as_the_first_version_did(empty_database_url, key)
    migrate(empty_database_url)
    log = Log.open(open_store(empty_database_url), key, origin=ORIGIN)
    assert log.append_blocking(access(1)).index == ENTRIES
    log.close()
    verdict = verify_database(empty_database_url, key.vkey)
    assert verdict.ok, verdict.findings
    assert verdict.size == ENTRIES + 1


def _write_as_the_first_version_did(url: str, key: NoteSigner) -> None:
    """Rows of the first tables: entries, a full tile and block, two checkpoints, the head's one row."""
    skeleton = {"v": 1, "kind": "refusal", "request_id": "r", "outcome": "token_missing"}
    entry = {**skeleton, "time": "2026-11-24T00:00:00.000Z", "sealed": seal(SALT, DETAIL)}
    leaf, frontier, notes, full = canonical(entry), Frontier(), [], b""
    for _ in range(ENTRIES):
        frontier.push(leaf_hash(leaf))
        if frontier.size == 256:
            full = frontier.root
        if frontier.size in {7, ENTRIES}:
            notes.append((frontier.size, key.sign(Checkpoint(ORIGIN, frontier.size, frontier.root))))
    engine = engine_of(url)
    with engine.begin() as connection:
        _insert(connection, "log_entries", [{"index": at, "leaf": leaf} for at in range(ENTRIES)])
        _insert(connection, "log_details", [{"index": at, "salt": SALT, "detail": DETAIL} for at in range(ENTRIES)])
        _insert(connection, "log_tiles", [{"level": 0, "tile": 0, "hashes": leaf_hash(leaf) * 256, "root": full}])
        _insert(connection, "log_checkpoints", [{"size": size, "note": note} for size, note in notes])
        connection.execute(
            sa.text("UPDATE log_head SET size = :size, frontier = :frontier, root = :root"),
            {"size": ENTRIES, "frontier": frontier.hashes, "root": frontier.root},
        )
    engine.dispose()


def _insert(connection: sa.Connection, name: str, rows: list[dict[str, object]]) -> None:
    connection.execute(sa.table(name, *(sa.column(one) for one in rows[0])).insert(), rows)
