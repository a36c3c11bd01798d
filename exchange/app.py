"""Where concrete things meet: settings in, one ASGI application out. Nothing here decides.

The exchange stands in front of the framework: a request under ``/v1/data/`` never enters it (design section 3).
"""

import gc
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from sqlalchemy import Engine

from audit import tile_routes
from audit.log import SWITCH_SECONDS, Log
from audit.publication import Publication
from audit.query import Queries
from audit.store import open_store
from consent import errors as oauth_errors
from consent import routes as oauth_routes
from consent import status_routes
from consent.config import ConsentConfig, FranceConnectConfig
from consent.desk import Desk
from consent.dpop import Nonces
from consent.events import routes as event_routes
from consent.events.push import Pusher
from consent.events.store import Outbox
from consent.keeper import Keeper
from consent.keys import AuthorityKeys
from consent.pages import routes as page_routes
from consent.status_routes import StatusTokens
from consent.store import ConsentStore
from exchange import errors, health, routes
from exchange.asgi import AsgiApp, Receive, Scope, Send
from exchange.auditing import Auditing
from exchange.bridge import HabilitationRegistry, LogAccesses, LogJournal, ManifestCatalogue
from exchange.bundle import Bundles
from exchange.catalogue import routes as catalogue_routes
from exchange.company import CompanyExchanges
from exchange.company_door import CompanyDoor
from exchange.consent_token import ConsentTokenVerifier
from exchange.database import open_engine
from exchange.dropin.doors import open_doors
from exchange.errors import ProblemWriter
from exchange.feed import Feed
from exchange.gateway import Gateway
from exchange.holders import holder_configs
from exchange.identify import PATH
from exchange.key_watch import KeyWatch
from exchange.keyring import Keyring, load_keyring
from exchange.logs import configure_logs, log, log_defect
from exchange.middleware import Surroundings
from exchange.recipient import Proxies, Recipient
from exchange.registry import RegistryStore
from exchange.release import Releases
from exchange.settings import Settings, load_settings
from exchange.witnesses import witnessing
from providers import registry as providers
from providers.bundle import bundles
from providers.registry import Datasets

GARBAGE_THRESHOLDS = (50_000, 20, 50)
"""An exchange makes some 50 containers and hardly a cycle: Python's 700 would collect every 14 exchanges, in vain."""


class Accord:
    """One process of a deployment: an ASGI application and the resources it holds."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        keyring = load_keyring(settings.keys_dir)
        self.keys = KeyWatch(settings.keys_dir, publish_seconds=settings.key_publish_seconds, clock=clock)
        self.engine: Engine = open_engine(settings.database_url)
        store = open_store(settings.database_url)
        self.log = Log.open(store, keyring.log, origin=settings.log_origin, timeout=settings.log_timeout)
        self.grants = ConsentStore(self.engine)
        self.feed = Feed(
            registry=RegistryStore(self.engine),
            grants=self.grants,
            interval=settings.feed_interval,
            max_age=settings.feed_max_age,
        )
        self.datasets: Datasets = providers.load(
            holder_configs(settings),
            folder=settings.manifests_dir,
            stands=self.feed.stands,
            tell=_tell_of_holder,
        )
        self.feed.follow(self.datasets.forget)
        problems = ProblemWriter(settings.issuer)
        queries = Queries(store)
        self.auditing = Auditing(
            settings, keyring, queries=queries, log=self.log, feed=self.feed, datasets=self.datasets, clock=clock
        )
        self.published = tile_routes.router(
            Publication(store), auditor_of=self.auditing.door.reader, recorded=self.auditing.room.raw
        )
        self.witnesses = (witnessing(settings, store),) if settings.witnesses else ()
        self.framework = self._framework(settings, keyring, queries, problems, clock)
        proxies = Proxies(settings.trusted_proxies)
        self._surrounded = Surroundings(self.framework, problems=problems, proxies=proxies)
        verifier = ConsentTokenVerifier(
            issuer=settings.issuer,
            audience=settings.issuer,
            keys=self.keys.tokens.public(),
            sealing_keys=self.keys.sealing.keys,
        )
        self.keys.follow(lambda tokens, sealing: verifier.learn(keys=tokens.public(), sealing_keys=sealing.keys))
        recipient = Recipient(
            settings.issuer,
            proxies=proxies,
            nonces=Nonces(keyring.session, required=settings.dpop_nonce_required),
        )
        releases = Releases(self.log, clock=clock)
        self._doors = open_doors(
            settings,
            knowledge=self.feed,
            datasets=self.datasets,
            verifier=verifier,
            recipient=recipient,
            releases=releases,
            pseudonym_key=keyring.pseudonym,
            clock=clock,
        )
        self._gateway = Gateway(
            verifier=verifier,
            knowledge=self.feed,
            datasets=self.datasets,
            recipient=recipient,
            releases=releases,
            problems=problems,
            franceconnect=self._doors.franceconnect,
            clock=clock,
        )
        companies = CompanyExchanges(
            knowledge=self.feed,
            recipient=recipient,
            releases=releases,
            pseudonym_key=keyring.pseudonym,
            clock=clock,
        )
        self._companies = CompanyDoor(
            companies,
            datasets=self.datasets,
            bundles=Bundles(bundles(), exchanges=companies, datasets=self.datasets, issuer=settings.issuer),
            problems=problems,
            recipient=recipient,
            clock=clock,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exchanges take the short way, everything else the framework's."""
        if scope["type"] == "http" and self._companies.serves(scope["path"]):
            await self._companies(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(PATH):
            await self._gateway(scope, receive, send)
        elif scope["type"] == "http" and (door := self._doors.of(scope["path"])) is not None:
            await door(scope, receive, send)
        else:
            await self._surrounded(scope, receive, send)

    def close(self) -> None:
        """Let go of threads and connections."""
        for thread in self.threads:
            thread.close()
        self.franceconnect.close()
        self._doors.close()
        self.auditing.close()
        self.log.close()
        self.engine.dispose()

    def _framework(
        self,
        settings: Settings,
        keyring: Keyring,
        queries: Queries,
        problems: ProblemWriter,
        clock: Callable[[], float],
    ) -> FastAPI:
        config = consent_config(settings, keyring, self.keys)
        catalogue, registry = ManifestCatalogue(self.datasets), HabilitationRegistry(self.feed)
        accesses = LogAccesses(queries)
        self.desk = desk = Desk(
            config,
            store=self.grants,
            registry=registry,
            catalogue=catalogue,
            journal=LogJournal(self.log, clock=clock),
            feed=self.feed,
            clock=clock,
        )
        app = FastAPI(
            title="Accord",
            version=metadata.version("accord"),
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            lifespan=self._lifespan,
        )
        errors.install(app, problems)
        oauth_errors.install(app)
        outbox = Outbox(self.engine)
        self.threads = (
            self.keys,
            self.feed,
            Keeper(desk, tell=lambda error: log_defect(error, "keeper")),
            Pusher(config, outbox=outbox, registry=registry, clock=clock, tell=_tell_of_delivery),
            *self.witnesses,
        )
        app.include_router(status_routes.router(StatusTokens(config, source=self.grants, clock=clock)))
        app.include_router(oauth_routes.router(config, desk=desk, datasets=catalogue.datasets()))
        authorize = oauth_routes.authorizer(config, desk)
        app.include_router(event_routes.router(config, authorize=authorize, outbox=outbox, clock=clock))
        self.franceconnect = page_routes.relying_party(config, clock=clock)
        app.include_router(
            page_routes.router(
                config,
                desk=desk,
                catalogue=catalogue,
                registry=registry,
                accesses=accesses,
                log_key=keyring.log.vkey,
                franceconnect=self.franceconnect,
                clock=clock,
            )
        )
        for router in self.auditing.routers(version=app.version):
            app.include_router(router)
        app.include_router(self.published)
        for router in catalogue_routes.routers(self.datasets, base=settings.issuer):
            app.include_router(router)
        app.include_router(routes.router())
        app.include_router(health.router({"feed": lambda: self.feed.is_fresh, "log": lambda: self.log.is_open}))
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        for thread in self.threads:
            thread.start()
        await self.datasets.start()
        # What was made to start lives as long as the process: collections need not walk it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            yield
        finally:
            await self.datasets.close()
            self.close()


def _tell_of_delivery(word: str, client_id: str) -> None:
    log.warning("security event not pushed", outcome=word, client=client_id)


def _tell_of_holder(word: str, what: str, seconds: float) -> None:
    """``what``: the holder that cannot be reached, or the dataset that fails; or is back."""
    if word == "down":
        log.warning("holder_cut_off", what=what, seconds=seconds)
    else:
        log.info("holder_back", what=what)


def consent_config(settings: Settings, keyring: Keyring, keys: AuthorityKeys) -> ConsentConfig:
    """Consent's part of the settings and keys. The issuer is the audience: one deployment, one resource server."""
    given = settings.franceconnect
    return ConsentConfig(
        issuer=settings.issuer,
        audience=settings.issuer,
        franceconnect=FranceConnectConfig(given.issuer, given.client_id, given.client_secret.get_secret_value()),
        keys=keys,
        session_key=keyring.session,
        pseudonym_key=keyring.pseudonym,
        dpop_nonce_required=settings.dpop_nonce_required,
    )


def create_app() -> AsgiApp:
    """The application of a worker process, from the environment."""
    settings = load_settings()
    configure_logs(settings.log_level)
    return Accord(settings)
