"""The role that serves on PostgreSQL: what it is given, what is taken from it, whom it is refused to."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from pytest_socket import enable_socket
from sqlalchemy import Engine

from exchange.database import migrate, open_engine
from exchange.database_rights import REWRITES, RightsRefused, check_may_erase, grant_application, log_tables
from tests.exchange.test_cli import SETTINGS, accord
from tests.postgres import application_role, postgresql_database

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def owner_url() -> Iterator[str]:
    enable_socket()
    with postgresql_database() as url:
        migrate(url)
        yield url


@pytest.fixture
def owner(owner_url: str) -> Iterator[Engine]:
    engine = open_engine(owner_url)
    yield engine
    engine.dispose()


@pytest.fixture
def role_url(owner_url: str) -> Iterator[str]:
    with application_role(owner_url) as url:
        yield url


def name_of(url: str) -> str:
    return urlsplit(url).username or ""


def rights(url: str, role: str) -> set[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        statement = "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = %s"
        return set(connection.execute(statement, (role,)).fetchall())


def test_it_may_read_and_add_to_the_log_and_work_with_the_rest(owner: Engine, owner_url: str, role_url: str) -> None:
    role = name_of(role_url)
    for _ in range(2):
        grant_application(owner, role)
    given = rights(owner_url, role)
    on_the_log = {(table, right) for table, right in given if table in log_tables()}
    grows = {(table, "INSERT") for table in log_tables() if table != "log_erased"}
    assert on_the_log == grows | {(table, "SELECT") for table in log_tables()}
    assert {table for table, _ in given} > set(log_tables())
    versions = {(table, right) for table, right in given if table.startswith("alembic")}
    assert versions == {(f"alembic_version_{package}", "SELECT") for package in ("audit", "consent", "exchange")}
    others = {table for table, _ in given} - set(log_tables()) - {table for table, _ in versions}
    assert all((table, right) in given for table in others for right in ("SELECT", "INSERT", "UPDATE", "DELETE"))
    assert all(table.startswith(("consent_", "registry_")) for table in others)
    assert not any(right in ("TRUNCATE", "TRIGGER", "REFERENCES") for _, right in given)


def test_what_it_had_before_is_taken_from_it(owner: Engine, owner_url: str, role_url: str) -> None:
    role = name_of(role_url)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(f'GRANT ALL ON log_details, consent_grants TO "{role}"')  # type: ignore[arg-type]  # ours
    grant_application(owner, role)
    assert not {(table, right) for table in log_tables() for right in REWRITES} & rights(owner_url, role)


@pytest.mark.parametrize("more", ["ALTER ROLE {role} SUPERUSER", "GRANT postgres TO {role}"])
def test_a_role_that_could_rewrite_the_log_all_the_same_is_refused(
    owner: Engine, owner_url: str, role_url: str, more: str
) -> None:
    role = name_of(role_url)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(more.format(role=f'"{role}"'))  # type: ignore[arg-type]  # ours
    with pytest.raises(RightsRefused, match="a role of its own"):
        grant_application(owner, role)
    assert rights(owner_url, role) == set()


def test_only_the_owner_gives_rights_and_erases(owner: Engine, owner_url: str, role_url: str) -> None:
    grant_application(owner, name_of(role_url))
    engine = open_engine(role_url)
    with application_role(owner_url) as another:
        with pytest.raises(RightsRefused, match="as the owner of the tables"):
            grant_application(engine, name_of(another))
        assert rights(owner_url, name_of(another)) == set()
    with pytest.raises(RightsRefused, match="owner"):
        check_may_erase(engine)
    engine.dispose()
    check_may_erase(owner)


@pytest.mark.parametrize("role", ["nobody-here", 'x"; DROP TABLE log_entries; --', "a:b", "%s", ""])
def test_a_role_that_is_not_there_is_named(owner: Engine, role: str) -> None:
    with pytest.raises(RightsRefused, match="no role"):
        grant_application(owner, role)


def test_a_name_is_only_ever_a_name(owner: Engine, owner_url: str) -> None:
    role = 'a"b:c%s; --'
    with psycopg.connect(owner_url, autocommit=True) as connection:
        quoted = psycopg.sql.Identifier(role)
        connection.execute(psycopg.sql.SQL("CREATE ROLE {}").format(quoted))
        grant_application(owner, role)
        assert ("log_entries", "INSERT") in rights(owner_url, role)
        connection.execute(psycopg.sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(quoted))


def test_the_commands_say_what_is_wrong_and_end_with_2(owner: Engine, role_url: str, tmp_path: Path) -> None:
    grant_application(owner, name_of(role_url))
    accord(tmp_path, "keys", "init")
    serving = SETTINGS | {"ACCORD_DATABASE_URL": role_url}
    refused = accord(tmp_path, "audit", "retain", "--apply", settings=serving)
    assert (refused.returncode, "owner of the tables" in refused.stderr) == (2, True)
    assert accord(tmp_path, "audit", "retain", "--dry-run", settings=serving).returncode == 0
    missing = accord(tmp_path, "db", "grant", "nobody-here", settings=serving)
    assert (missing.returncode, "CREATE ROLE" in missing.stderr) == (2, True)
    unreachable = SETTINGS | {"ACCORD_DATABASE_URL": "postgresql://x@localhost:1/x"}
    for command in (["db", "grant", "x"], ["audit", "retain", "--dry-run"]):
        assert accord(tmp_path, *command, settings=unreachable).returncode == 2


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    accord(tmp_path, "keys", "init")
    refused = accord(tmp_path, "db", "grant", "x")
    assert (refused.returncode, "SQLite" in refused.stderr) == (2, True)
    behind = accord(tmp_path, "audit", "retain", "--dry-run")
    assert (behind.returncode, "accord db migrate" in behind.stderr) == (2, True)
    accord(tmp_path, "db", "migrate")
    for flags in ([], ["--dry-run", "--apply"]):
        assert accord(tmp_path, "audit", "retain", *flags).returncode == 2
    done = accord(tmp_path, "audit", "retain", "--apply")
    assert (done.returncode, bool(re.search("quotient_familial +P1Y", done.stdout))) == (0, True)
