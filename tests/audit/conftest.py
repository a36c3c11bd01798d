"""A log on each engine."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from pytest_socket import enable_socket
from sqlalchemy import Engine, create_engine, make_url

from audit.checkpoint import NoteSigner
from audit.store import Store, open_store
from tests.audit.verified_log import Sample, make_sample
from tests.postgres import postgresql_database
from tests.postgresql_server import PostgresqlServer, postgresql_server

ORIGIN = "accord.example/log"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """One that a test may stop and kill."""
    enable_socket()
    with postgresql_server() as started:
        yield started


@pytest.fixture(scope="session")
def key() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, key: NoteSigner) -> Sample:
    """A log with everything in it that a verification looks at."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}"
    migrate(url)
    return make_sample(url, key)


@pytest.fixture(scope="module")
def folder(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as files."""
    folder = tmp_path_factory.mktemp("published")
    sample.write(folder)
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'log.sqlite'}"
        return
    # PostgreSQL is reached over a socket of this machine.
    enable_socket()
    with postgresql_database() as url:
        yield url


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """An empty log's database, once on each engine."""
    migrate(empty_database_url)
    return empty_database_url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """The log there, as the code opens it."""
    with closing(open_store(database_url)) as store:
        yield store


def engine_of(url: str) -> Engine:
    parsed = make_url(url)
    return create_engine(parsed.set(drivername="postgresql+psycopg") if url.startswith("postgresql") else parsed)


def migrate(url: str, *, to: str = "head") -> None:
    engine = engine_of(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "audit:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, to)
    engine.dispose()
