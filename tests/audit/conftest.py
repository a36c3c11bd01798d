"""A log on each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from pytest_socket import enable_socket
from sqlalchemy import create_engine, make_url

from audit.checkpoint import NoteSigner
from tests.postgres import postgresql_database

ORIGIN = "accord.example/log"


@pytest.fixture(scope="session")
def key() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty log's database, once on each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'log.sqlite'}"
        migrate(url)
        yield url
        return
    # PostgreSQL is reached over a socket of this machine.
    enable_socket()
    with postgresql_database() as url:
        migrate(url)
        yield url


def migrate(url: str) -> None:
    parsed = make_url(url)
    engine = create_engine(parsed.set(drivername="postgresql+psycopg") if url.startswith("postgresql") else parsed)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "audit:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
