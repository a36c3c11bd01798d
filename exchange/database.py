"""Connections and migrations: one engine per process, each package's migrations under its own version table."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError as DatabaseBusy
from sqlalchemy.pool import ConnectionPoolEntry

PACKAGES = ("audit", "consent", "exchange")
"""The packages with tables, in the order of their migrations."""

_BUSY_SECONDS = 5
_SQLITE_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    # Without it INSERT OR REPLACE deletes rows behind the back of the append-only triggers.
    "recursive_triggers=ON",
    # What a retention run erases is overwritten, not merely let go of.
    "secure_delete=ON",
    f"busy_timeout={_BUSY_SECONDS * 1000}",
)
_WRITES = ("INSERT", "UPDATE", "DELETE")
_MIGRATION_LOCK = 0x4143434F5244  # 'ACCORD'


def open_engine(database_url: str) -> Engine:
    """An engine with bounded waits: durable and strict on SQLite, psycopg 3 on PostgreSQL."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        if url.database:
            with suppress(OSError):
                # SQLite says so when it opens the file.
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_timeout=5)
        event.listen(engine, "connect", _durable_and_strict)
        event.listen(engine, "before_cursor_execute", _wait_to_write)
        return engine
    from audit.store.postgresql import NOTICES_SILENCE  # noqa: PLC0415  # one driver is enough for one deployment

    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_timeout=5,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=5000 -c lock_timeout=4000",
            **NOTICES_SILENCE,
        },
    )


def migrate(database_url: str) -> None:
    """Bring every package's tables to the newest version, all of it or nothing.

    Two migrations at once wait for each other: whoever comes second finds nothing left to do.
    """
    engine = open_engine(database_url)
    try:
        with _alone(engine) as connection:
            for package in PACKAGES:
                config = _alembic(package)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    finally:
        engine.dispose()


def pending_migrations(engine: Engine) -> list[str]:
    """The packages whose tables are not at the newest version, so that ``serve`` can refuse with a sentence."""
    pending = []
    with engine.connect() as connection:
        for package in PACKAGES:
            context = MigrationContext.configure(connection, opts={"version_table": f"alembic_version_{package}"})
            head = ScriptDirectory.from_config(_alembic(package)).get_current_head()
            if context.get_current_revision() != head:
                pending.append(package)
    return pending


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migration is in."""
    if engine.dialect.name == "sqlite":
        # The driver would begin one before the first change of a row, and none before a change of a table.
        event.listen(engine, "connect", _begins_when_told)
        event.listen(engine, "begin", _lock_file)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        yield connection


def _alembic(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _begins_when_told(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None


def _lock_file(connection: Connection) -> None:
    """Wait as the log's writers do. Raises SQLAlchemy's ``OperationalError`` after :data:`_BUSY_SECONDS`."""
    from audit.store.sqlite import take_write_lock  # noqa: PLC0415  # as above

    try:
        take_write_lock(_file_of(connection), _BUSY_SECONDS)
    except OperationalError as error:
        raise DatabaseBusy(None, None, error) from None


def _file_of(connection: Connection) -> SqliteConnection:
    return connection.connection.driver_connection  # type: ignore[return-value]  # SQLite's engines alone


def _durable_and_strict(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    from audit.store.sqlite import keep_a_journal_ahead  # noqa: PLC0415  # as above

    keep_a_journal_ahead(connection)
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _wait_to_write(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    """Before the first change of a row in a transaction."""
    if statement[:6].upper() in _WRITES and not _file_of(connection).in_transaction:
        _lock_file(connection)
