"""A whole deployment on loopback: Accord as its own processes, the sandbox beside it, real HTTP between all."""

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from subprocess import Popen

import httpx

from audit.verifier import Verdict
from audit.verify_database import verify_database
from exchange.database import migrate
from exchange.keyring import Keyring, load_keyring, make_keyring
from exchange.registry_load import load_file
from exchange.settings import Settings
from sandbox.api_entreprise import load_companies
from sandbox.app import create_sandbox, people_of
from sandbox.servers import accord_running, sandbox_running
from sandbox.world import DATABASE_FILE, ENVIRONMENT_FILE, KEYS_FOLDER, World, make_world
from tests.tokens import DETAIL, Mint

_UNLIMITED = {f"ACCORD_HOLDERS__{holder}__ALLOWANCE": "1000" for holder in ("API_PARTICULIER", "API_ENTREPRISE")}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One running Accord and its sandbox."""

    world: World
    process: "Popen[bytes]"
    database_url: str

    @property
    def url(self) -> str:
        return self.world.accord_url

    def keyring(self) -> Keyring:
        return load_keyring(self.world.folder / KEYS_FOLDER)

    def mint(self) -> Mint:
        """Makes tokens with this deployment's keys."""
        keys = self.keyring()
        current = keys.sealing.current
        return Mint(self.url, keys.tokens.current.private, keys.tokens.current.kid, keys.sealing.keys[current], current)

    def token(self, *, person: int = 0, detail: Mapping[str, object] | None = None, **changed: object) -> bytes:
        """A consent token for one of the sandbox's people, as Accord makes it or with claims ``changed``."""
        mint = self.mint()
        pivot = people_of(self.world.sandbox.families)[person].identity.to_claims()
        recipient = self.world.sandbox.portal.recipient
        given = {
            "authorization_details": [DETAIL | {"recipient": recipient} | (detail or {})],
            "identity": mint.seal({"pivot": pivot, "citizen": f"pseudonym-{person}"}),
        }
        return mint.token(mint.claims(**(given | changed)))

    def exchange(self, token: bytes | str, *, query: str = "") -> httpx.Response:
        """One exchange, as an application makes it."""
        text = token if isinstance(token, str) else token.decode()
        return httpx.get(
            f"{self.url}/v1/data/quotient_familial{query}",
            headers={"Authorization": f"Bearer {text}"},
            timeout=20,
            trust_env=False,
        )

    def entries(self) -> list[str]:
        """Every entry of the log, as its leaf bytes say it (SQLite)."""
        with sqlite3.connect(self.world.folder / DATABASE_FILE, timeout=10) as connection:
            rows = connection.execute('SELECT leaf FROM log_entries ORDER BY "index"').fetchall()
        return [bytes(row[0]).decode() for row in rows]

    def verify(self) -> Verdict:
        """The whole log, replayed from the database."""
        return verify_database(self.database_url, self.keyring().log.vkey)


@contextmanager
def deployed(
    folder: Path,
    *,
    fixtures: Path | None = None,
    companies: Path | None = None,
    settings: Mapping[str, str] | None = None,
    fields: tuple[str, ...] | None = None,
    dataset: str | None = None,
    manifests: Path | None = None,
    today: date | None = None,
    before: Callable[[World], None] = lambda _world: None,
) -> Iterator[Deployment]:
    """Make a world, load its registry, run it. ``dataset`` and ``fields``: what the town is habilitated for and
    asks; ``manifests``: a folder of datasets beside the catalogue's.

    ``today``: the day the registry was written, from which its habilitation runs for a year. ``before``: what to do
    with the world once it is made, before it runs.
    """
    accord_port, sandbox_port = free_ports(2)
    world = make_world(
        folder,
        port=accord_port,
        sandbox_port=sandbox_port,
        fixtures=fixtures,
        fields=fields,
        dataset=dataset,
        manifests=manifests,
        today=lambda: today or datetime.now(UTC).date(),
    )
    if companies is not None:
        world = replace(world, sandbox=replace(world.sandbox, companies=load_companies(companies)))
    # The sandbox has no limits of its own, and these are loads that no holder would allow.
    _append_settings(folder, {**_UNLIMITED, **(settings or {})})
    prepare(world)
    before(world)
    database_url = (settings or {}).get("ACCORD_DATABASE_URL", f"sqlite:///{folder / DATABASE_FILE}")
    with ExitStack() as life:
        life.enter_context(sandbox_running(create_sandbox(world.sandbox), port=sandbox_port))
        process = life.enter_context(accord_running(folder=folder, url=world.accord_url))
        yield Deployment(world, process, database_url)


def prepare(world: World) -> None:
    """What 'accord keys init', 'db migrate' and 'registry load' do, without starting Python three times."""
    settings = _settings_of(world)
    make_keyring(settings.keys_dir, log_origin=settings.log_origin, now=time.time())
    migrate(settings.database_url)
    load_registry(world)


def load_registry(world: World) -> None:
    """What 'accord registry load' does with the world's file."""
    load_file(_settings_of(world), world.registry)


def _settings_of(world: World) -> Settings:
    return Settings(_env_file=world.folder / ENVIRONMENT_FILE)  # type: ignore[call-arg]  # the fields come from the file


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
    return ports


def workers_of(process: "Popen[bytes]") -> list[int]:
    """The worker processes under the supervisor."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in _command(int(pid))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _append_settings(folder: Path, settings: Mapping[str, str]) -> None:
    with (folder / ENVIRONMENT_FILE).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}='{value}'{os.linesep}" for name, value in settings.items())
