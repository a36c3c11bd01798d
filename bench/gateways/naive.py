"""The naive peer of ``bench/naive.py`` under one uvicorn worker."""

import json
import os
import sqlite3
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.gateways.port import Started
from bench.processes import HOST, Launch, free_port, running, wait_until_listening
from bench.world import FIELDS, ISSUER, PURPOSE, RECIPIENT, World

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def start(world: World, folder: Path) -> Iterator[Started]:
    """One worker on its own SQLite file."""
    port, log, database = free_port(), folder / "naive.log", folder / "naive.sqlite"
    settings = folder / "settings.json"
    settings.touch(mode=0o600)
    settings.write_text(_settings(world, database), encoding="utf-8")
    options = ["--app-dir", str(ROOT), "--host", HOST, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    launch = Launch(
        [sys.executable, "-m", "uvicorn", "bench.naive:app", *options],
        core=world.cores.gateway,
        folder=folder,
        log=log,
        environment={**os.environ, "NAIVE_SETTINGS": str(settings)},
    )
    with running(launch) as process:
        wait_until_listening(process, port, log=log)
        yield Started(process.pid, port, entries=lambda: _entries(database))


def _entries(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        count: int = connection.execute("SELECT count(*) FROM access").fetchone()[0]
        return count


def _settings(world: World, database: Path) -> str:
    sealing = world.keyring.sealing
    return json.dumps(
        {
            "issuer": ISSUER,
            "token_jwk": world.keyring.tokens.current.public_jwk(),
            "sealing_jwk": {
                "kty": "oct",
                "k": urlsafe_b64encode(sealing.keys[sealing.current]).rstrip(b"=").decode(),
            },
            "recipient": RECIPIENT,
            "purpose": PURPOSE,
            "fields": FIELDS,
            "holder_url": world.holder_url,
            "holder_token": "not-a-secret",
            "database_url": f"sqlite:///{database}",
        }
    )
