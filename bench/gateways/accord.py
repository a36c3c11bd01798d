"""Accord as an operator starts it, one worker, doing the whole job.

Signature, status, policy, identity, holder, mask, and a durable entry in the log whose receipt is in the answer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.gateways.port import Started
from bench.postgresql import postgresql
from bench.processes import Launch, free_port, running, wait_until_listening
from bench.world import World, accord, accord_command


@contextmanager
def start_on_sqlite(world: World, folder: Path) -> Iterator[Started]:
    """On its own SQLite file."""
    with _started(world, folder, f"sqlite:///{folder / 'accord.sqlite'}") as started:
        yield started


@contextmanager
def start_on_postgresql(world: World, folder: Path) -> Iterator[Started]:
    """On its own PostgreSQL server, which runs on the other core and is counted apart."""
    with (
        postgresql(folder, core=world.cores.rest) as server,
        _started(world, folder, server.url, database_pid=server.pid) as started,
    ):
        yield started


@contextmanager
def _started(world: World, folder: Path, database_url: str, *, database_pid: int | None = None) -> Iterator[Started]:
    port, log = free_port(), folder / "accord.log"
    environment = {**world.environment, "ACCORD_DATABASE_URL": database_url, "ACCORD_PORT": str(port)}
    for arguments in (["db", "migrate"], ["registry", "load", str(world.folder / "registry.toml")]):
        accord(arguments, environment, folder=folder, core=world.cores.rest)
    launch = Launch(accord_command("serve"), core=world.cores.gateway, folder=folder, log=log, environment=environment)
    with running(launch) as process:
        wait_until_listening(process, port, log=log)
        yield Started(process.pid, port, entries=lambda: _entries(database_url), database_pid=database_pid)


def _entries(database_url: str) -> int: ...
