"""``accord serve``: what is checked before the first request, and the workers.

Even a single worker runs under uvicorn's supervisor: a worker that is killed is started again, and recovery is the
ordinary start.
"""

import socket
import time

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from audit.log import Log
from audit.model import LogError
from audit.store import open_store
from exchange.database import open_engine, pending_migrations
from exchange.dropin.franceconnect import franceconnect_tokens
from exchange.holders import holder_configs
from exchange.keyring import KeyringError, load_keyring
from exchange.logs import configure_logs, log
from exchange.protocol import BoundedProtocol
from exchange.settings import Settings, SettingsError
from providers import registry as providers
from providers.manifest import ManifestError

GRACE = 10
"""Seconds that requests under way are given when the server is asked to stop."""
KEEP_ALIVE = 75
BACKLOG = 1024


class ServeRefused(Exception):  # a refusal, in the words an operator reads
    """The server does not start; the message says why and what to do."""


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises :class:`ServeRefused` before a port is opened."""
    configure_logs(settings.log_level)
    _check(settings)
    listening = _listen(settings)
    config = uvicorn.Config(
        "exchange.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
    )
    _Supervisor(config, sockets=[listening]).run()


class _Supervisor(Multiprocess):
    """Replaces a worker that died, also one that died before it served.

    uvicorn would stop every worker then, for good: one that crashes while the database is away would take all of
    Accord with it. What cannot pass by itself was checked before the port was opened.
    """

    def keep_subprocess_alive(self) -> None:
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            log.warning("worker_replaced", exit_code=process.exitcode)
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()


def _check(settings: Settings) -> None:
    try:
        keyring = load_keyring(settings.keys_dir)
        if (franceconnect := franceconnect_tokens(settings, clock=time.time)) is not None:
            franceconnect.close()
    except (KeyringError, SettingsError) as error:
        raise ServeRefused(str(error)) from None
    engine = open_engine(settings.database_url)
    try:
        pending = pending_migrations(engine)
    finally:
        engine.dispose()
    if pending:
        raise ServeRefused("the database is not at the newest version: run 'accord db migrate'")
    try:
        datasets = providers.load(holder_configs(settings), folder=settings.manifests_dir)
    except ManifestError as error:
        raise ServeRefused(f"{error}\nsee 'accord providers check'") from None
    if not datasets.ids():
        raise ServeRefused("no data holder is configured: set ACCORD_HOLDERS__<NAME>__URL and __TOKEN")
    try:
        Log.open(open_store(settings.database_url), keyring.log, origin=settings.log_origin).close()
    except LogError as error:
        raise ServeRefused(str(error)) from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise ServeRefused(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set ACCORD_PORT to a free port"
        ) from None
    listening.set_inheritable(True)
    return listening
