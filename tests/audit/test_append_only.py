"""The database itself refuses to rewrite the log, whatever statement is tried, by whoever serves.

On PostgreSQL two things stand in the way: the application's role has no right but to read and add, and triggers that
stop the owner too. On SQLite, which has no roles, triggers alone: they hold against every statement that changes rows,
not against somebody with the file who drops them or writes its bytes. That is found by verifying, from outside.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from pytest_socket import enable_socket
from sqlalchemy import Table

from audit.checkpoint import NoteSigner
from audit.cosignature import Cosigner
from audit.log import Log
from audit.model import Append
from audit.retention import due
from audit.store import StoreError, open_store
from audit.tables import Base
from audit.verify_database import verify_database
from exchange.database import migrate, open_engine
from exchange.database_rights import grant_application
from tests.audit.conftest import ORIGIN
from tests.audit.test_retention import SCHEDULE, applied
from tests.postgres import application_role, postgresql_database

pytestmark = pytest.mark.enable_socket

TABLES = [pytest.param(table, id=name) for name, table in sorted(Base.metadata.tables.items())]
EVERYWHERE = {
    "update": "UPDATE {table} SET {column} = {column}",
    "update of one row": "UPDATE {table} SET {column} = {column} WHERE {key} = (SELECT max({key}) FROM {table})",
    "delete": "DELETE FROM {table}",
    "delete of one row": "DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})",
    "upsert": "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT ({keys}) "
    "DO UPDATE SET {column} = excluded.{column}",
}
ON_SQLITE = {
    "insert or replace": "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    "replace": "REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    "update or replace": "UPDATE OR REPLACE {table} SET {column} = {column}",
    "update or ignore": "UPDATE OR IGNORE {table} SET {column} = {column}",
    "update from": "UPDATE {table} SET {column} = o.{column} FROM {table} AS o",
}
ON_POSTGRESQL = {
    "truncate": "TRUNCATE {table}",
    "truncate all": "TRUNCATE {table} CASCADE",
    "delete using": "DELETE FROM {table} USING log_entries e",
    "merge": "MERGE INTO {table} t USING {table} s ON t.{key} = s.{key} WHEN MATCHED THEN DELETE",
}
FOR_THE_OWNER_ALONE = {
    "lock": "SELECT 1 FROM {table} FOR UPDATE",
    "drop": "DROP TABLE {table}",
    "alter": "ALTER TABLE {table} ADD COLUMN more text",
    "triggers off": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "drop trigger": "DROP TRIGGER {table}_grows ON {table}",
    "rule": "CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "trigger of its own": "CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "replication role": "SET session_replication_role = 'replica'",
    "owner": "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "owner's role": "SET ROLE postgres",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """A log with rows in every table, and who reaches it how."""

    owner: str
    application: str

    def refuses(self, statement: str, *, url: str) -> None:
        """Only words of a refusal count: a mistake in the statement would be refused as well."""
        session = open_store(url).connect()
        try:
            with pytest.raises(StoreError) as refused:
                session.execute(statement)
        finally:
            session.close()
        said = f"{type(refused.value.__cause__).__name__}: {refused.value.__cause__}"
        assert any(word in said for word in ("only grows", "retention run names", "InsufficientPrivilege")), said


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: NoteSigner
) -> Iterator[Filled]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'accord.sqlite'}"
        migrate(url)
        _fill(url, url, key)
        yield Filled(url, url)
        return
    enable_socket()
    with postgresql_database() as owner, application_role(owner) as application:
        migrate(owner)
        engine = open_engine(owner)
        grant_application(engine, urlsplit(application).username or "")
        engine.dispose()
        _fill(application, owner, key)
        yield Filled(owner, application)


def _fill(application: str, owner: str, key: NoteSigner) -> None:
    """The application adds; the owner erases one detail."""
    log = Log.open(open_store(application), key, origin=ORIGIN, max_queue=1_000, timeout=60)
    asyncio.run(_add(log))
    log.close()
    store = open_store(owner)
    log = Log.open(store, key, origin=ORIGIN)
    log.append_blocking(applied(list(due(store, SCHEDULE))[:1], releases=["once:0"]))
    log.close()
    session, witness = open_store(application).connect(), Cosigner.generate("witness.example/w")
    size, note = session.rows("SELECT size, note FROM log_checkpoints ORDER BY size DESC LIMIT 1")[0]
    line = witness.sign(note.partition("\n\n")[0] + "\n", now=1)
    session.execute("INSERT INTO log_cosignatures (size, witness, line) VALUES (?, ?, ?)", (size, witness.name, line))
    session.close()


async def _add(log: Log) -> None:
    skeleton = {"v": 1, "kind": "access", "time": "2026-01-01T00:00:00.000Z", "request_id": "r", "outcome": "ok"}
    appends = [
        Append(skeleton | {"dataset": "a"}, {"citizen": "c", "grant_id": f"g{one}"}, spends=(f"once:{one}",))
        for one in range(300)
    ]
    closing = Append(skeleton | {"kind": "grant.withdrawn"}, {"grant_id": "x"}, closes=("grant:x",))
    await asyncio.gather(*(log.append(one) for one in (*appends, closing)))


def _statement(pattern: str, table: Table) -> str:
    keys = [f'"{column.name}"' for column in table.primary_key]
    others = [f'"{column.name}"' for column in table.columns if f'"{column.name}"' not in keys]
    return pattern.format(table=table.name, key=keys[-1], keys=", ".join(keys), column=(others or keys)[0])


@pytest.mark.parametrize("table", TABLES)
def test_no_statement_that_changes_rows_passes(filled: Filled, table: Table) -> None:
    patterns = EVERYWHERE | (ON_SQLITE if filled.owner.startswith("sqlite") else ON_POSTGRESQL)
    before = _rows(filled, table)
    assert before
    for pattern in patterns.values():
        for url in {filled.application, filled.owner}:
            filled.refuses(_statement(pattern, table), url=url)
    assert _rows(filled, table) == before


@pytest.mark.parametrize("filled", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", TABLES)
def test_the_role_that_serves_cannot_take_the_guards_away(filled: Filled, table: Table) -> None:
    for pattern in FOR_THE_OWNER_ALONE.values():
        filled.refuses(_statement(pattern, table), url=filled.application)
    session = open_store(filled.application).connect()
    # PostgreSQL only warns that it gave nothing.
    session.execute(f"GRANT ALL ON {table.name} TO CURRENT_USER")
    session.close()
    filled.refuses(_statement(EVERYWHERE["delete"], table), url=filled.application)


@pytest.mark.parametrize("filled", ["postgresql"], indirect=True)
def test_the_role_that_serves_cannot_prepare_an_erasure(filled: Filled) -> None:
    filled.refuses('INSERT INTO log_erased ("index", by) VALUES (7, 8)', url=filled.application)


def _rows(filled: Filled, table: Table) -> set[tuple[object, ...]]:
    session = open_store(filled.owner).connect()
    try:
        return set(session.rows(f"SELECT * FROM {table.name}"))  # noqa: S608  # a table of ours
    finally:
        session.close()


def test_after_all_that_the_log_verifies_and_grows(filled: Filled, key: NoteSigner) -> None:
    log = Log.open(open_store(filled.application), key, origin=ORIGIN)
    assert asyncio.run(log.append(Append({"v": 1, "kind": "access", "time": "t", "request_id": "r", "outcome": "ok"})))
    log.close()
    verdict = verify_database(filled.application, key.vkey)
    assert verdict.size > 300
    assert verdict.ok, verdict.findings
