"""Migrations: alone, whole, and in sentences."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.util import CommandError
from sqlalchemy import inspect
from typer.testing import CliRunner, Result

import exchange.database
from exchange.cli import app
from exchange.database import migrate, open_engine
from exchange.keyring import make_keyring
from tests.exchange.test_cli import SETTINGS
from tests.postgres import postgresql_database

pytestmark = [pytest.mark.enable_socket]

AT_ONCE = """
import sys
from exchange.database import migrate
print("ready", flush=True)
sys.stdin.readline()
migrate(sys.argv[1])
"""


def _tables(url: str) -> list[str]:
    engine = open_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _migrated_at_once(url: str) -> None:
    command = [sys.executable, "-c", AT_ONCE, url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) for _ in range(3)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    ended = [(one.communicate(timeout=60)[1], one.returncode) for one in started]
    assert [code for _, code in ended] == [0, 0, 0], ended
    assert {"log_entries", "alembic_version_exchange"} <= set(_tables(url))


def test_migrations_of_a_new_file_wait_for_each_other(tmp_path: Path) -> None:
    _migrated_at_once(f"sqlite:///{tmp_path / 'new.sqlite'}")


def test_migrations_of_a_new_postgresql_database_wait_for_each_other() -> None:
    with postgresql_database() as url:
        _migrated_at_once(url)


def _fails_at_the_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.database, "PACKAGES", ("audit", "consent", "tests"))
    with pytest.raises(CommandError):
        migrate(url)
    assert _tables(url) == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_at_the_end(f"sqlite:///{tmp_path / 'new.sqlite'}", monkeypatch)


def test_a_migration_that_fails_leaves_postgresql_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with postgresql_database() as url:
        _fails_at_the_end(url, monkeypatch)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Result]:
    """Runs a command line on a database, where there are keys and an empty registry."""
    monkeypatch.chdir(tmp_path)
    make_keyring(tmp_path / "keys", log_origin="localhost/log", now=0)
    (tmp_path / "registry.toml").write_text("")

    def run(line: str, url: str) -> Result:
        return CliRunner().invoke(app, line.split(), env=SETTINGS | {"ACCORD_DATABASE_URL": url, "COLUMNS": "200"})

    return run


def test_a_file_that_another_program_holds_is_refused_in_time_in_a_sentence(
    tmp_path: Path, command: Callable[[str, str], Result]
) -> None:
    with closing(sqlite3.connect(tmp_path / "accord.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = command("db migrate", "sqlite:///accord.sqlite")
    assert (done.exit_code, "could not be used: database is locked" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("url", "cause"),
    [("postgresql://x@localhost:1/x", "Connection refused"), ("sqlite:////proc/x/x.sqlite", "unable to open")],
)
@pytest.mark.parametrize("line", ["serve", "db migrate", "keys rotate", "registry load registry.toml"])
def test_a_database_that_is_not_there_is_a_sentence_in_every_command(
    command: Callable[[str, str], Result], line: str, url: str, cause: str
) -> None:
    done = command(line, url)
    assert (done.exit_code, cause in done.stderr, "ACCORD_DATABASE_URL" in done.stderr) == (2, True, True), done.output
