"""The database: migrations are whole and alone, changes wait their turn, what fails is a sentence."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.util import CommandError
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner, Result

import exchange.database
from audit.store.sqlite import take_write_lock
from exchange.cli import app
from exchange.database import migrate, open_engine
from exchange.keyring import make_keyring
from tests.exchange.test_cli import SETTINGS, accord
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


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_file_that_another_program_holds_is_refused_in_time_in_a_sentence(
    tmp_path: Path, command: Callable[[str, str], Result], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(exchange.database, "_BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "accord.sqlite", isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode={mode}")
        other.execute("BEGIN EXCLUSIVE")
        done = command("db migrate", "sqlite:///accord.sqlite")
    assert (done.exit_code, "could not be used: database is locked" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("url", "cause"),
    [("postgresql://x@localhost:1/x", "Connection refused"), ("sqlite:////proc/x/x.sqlite", "unable to open")],
)
@pytest.mark.parametrize("line", ["db migrate", "keys rotate", "registry load registry.toml"])
def test_a_database_that_is_not_there_is_a_sentence_in_every_command(
    command: Callable[[str, str], Result], line: str, url: str, cause: str
) -> None:
    done = command(line, url)
    assert (done.exit_code, cause in done.stderr, "ACCORD_DATABASE_URL" in done.stderr) == (2, True, True), done.output


def test_the_server_does_not_start_without_its_database(tmp_path: Path) -> None:
    make_keyring(tmp_path / "keys", log_origin="localhost/log", now=0)
    done = accord(tmp_path, "serve", settings=SETTINGS | {"ACCORD_DATABASE_URL": "postgresql://x@localhost:1/x"})
    assert (done.returncode, "Connection refused" in done.stderr) == (2, True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Of a file with one table."""
    made = open_engine(f"sqlite:///{tmp_path / 'some.sqlite'}")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER)"))
    yield made
    made.dispose()


@contextmanager
def held(engine: Engine) -> Iterator[sqlite3.Connection]:
    """Another program writes."""
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None, check_same_thread=False)) as other:
        take_write_lock(other)
        yield other


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(text("SELECT number FROM numbers ORDER BY number"))]


def test_a_change_waits_for_whoever_writes_the_file_and_a_reading_does_not(engine: Engine) -> None:
    with held(engine) as other:
        assert _numbers(engine) == []
        release = threading.Timer(0.2, other.execute, ["COMMIT"])
        release.start()
        with engine.begin() as connection:
            for number in (1, 2):
                connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        release.join()
    assert _numbers(engine) == [1, 2]


def test_a_change_that_waited_long_enough_is_an_error_of_the_database_and_the_next_goes_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange.database, "_BUSY_SECONDS", 0.05)
    add = text("INSERT INTO numbers VALUES (:number)")
    with held(engine), engine.begin() as connection, pytest.raises(OperationalError) as refused:
        connection.execute(add, {"number": 4711})
    assert "4711" not in str(refused.value)
    with engine.begin() as connection:
        connection.execute(add, {"number": 3})
    assert _numbers(engine) == [3]


def test_only_waiting_for_others_is_waited_for(engine: Engine) -> None:
    with held(engine) as other, pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        take_write_lock(other, seconds=60)
    with closing(sqlite3.connect(":memory:", timeout=3)) as one:
        take_write_lock(one)
        assert one.execute("PRAGMA busy_timeout").fetchone() == (3000,)
