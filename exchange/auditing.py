"""What fills audit's ports, and how its rooms are put together. Thin: no decision is taken here."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator
from uuid import uuid4

from fastapi import APIRouter

from audit import routes as audit_routes
from audit.auditors import Auditor
from audit.door import Door
from audit.log import Log
from audit.model import LogError
from audit.pages import routes as audit_pages
from audit.ports import Act
from audit.query import Queries
from audit.reading import ReadingRoom
from consent.config import PartnerConfig
from consent.pages.site import FILES, ICON, SHEET
from consent.session import Seal
from exchange import journal
from exchange.choices import choices
from exchange.feed import Feed
from exchange.keyring import Keyring
from exchange.proconnect import ProConnect
from exchange.settings import Settings
from openapi.fields import Siret
from openapi.problem import AccordError, Language
from providers.registry import Datasets

CALLBACK = "/audit/retour"


class Auditing:
    """The door, the reading room and what stands in it, for one process."""

    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        *,
        queries: Queries,
        log: Log,
        feed: Feed,
        datasets: Datasets,
        clock: Callable[[], float] = time.time,
    ) -> None:
        sealer = Seal(keyring.session, "audit", clock=clock)
        self.door = Door(RegisteredAuditors(feed), sealer, secure=settings.issuer.startswith("https:"))
        self.room = ReadingRoom(queries, LogReadings(log, clock=clock), clock=clock)
        self._settings = settings
        self._names = HumanNames(feed, datasets)
        self._clock = clock
        given = settings.proconnect
        self._login = None
        if given is not None:
            config = PartnerConfig(given.issuer, given.client_id, given.client_secret.get_secret_value())
            back = f"{settings.issuer}{CALLBACK}"
            self._login = ProConnect(config, redirect_uri=back, pseudonym_key=keyring.pseudonym, clock=clock)

    def routers(self, *, version: str) -> Iterator[APIRouter]:
        """The routes for programs; where agents can log in, the pages too."""
        yield audit_routes.router(self.room, self.door, product_version=version, log_origin=self._settings.log_origin)

        if self._login is not None:
            yield audit_pages.router(
                room=self.room,
                door=self.door,
                login=self._login,
                names=self._names,
                issuer=self._settings.issuer,
                sheet=FILES.url(SHEET),
                icon=FILES.url(ICON),
                clock=self._clock,
            )

    def close(self) -> None:
        """Let go of the connections to ProConnect."""
        if self._login is not None:
            self._login.close()


class LogReadings:
    """``audit.ports.ReadingJournal``: durable on return."""

    def __init__(self, log: Log, *, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock

    def record(self, act: Act) -> int:
        """Append the act. Raises ``AccordError('log_unavailable')``."""
        entry = journal.audit_query(act, request_id=str(uuid4()), now=self._clock())
        try:
            return self._log.append_blocking(entry).index
        except LogError:
            raise AccordError("log_unavailable", retry_in=5) from None


class RegisteredAuditors:
    """``audit.ports.AuditorRegistry`` from the registry in memory."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def auditor(self, subject: str) -> Auditor | None:
        """Her role, if she is registered."""
        return self._feed.registry.auditors.get(subject)

    def machine(self, token: str) -> Auditor | None:
        """The role of a program. Its token is looked up by its hash: what is compared tells nothing of it."""
        return self._feed.registry.machines.get(hashlib.sha256(token.encode()).hexdigest())


class HumanNames:
    """``audit.ports.Names`` from the registry in memory, the manifests and the registered problems."""

    def __init__(self, feed: Feed, datasets: Datasets) -> None:
        self._feed = feed
        self._manifests = {
            name: dataset.manifest for name in datasets.ids() if (dataset := datasets.get(name)) is not None
        }
        # Where datasets share a field's name, the first of them says what it is.
        self._fields = {
            path: field for manifest in reversed(self._manifests.values()) for path, field in manifest.fields.items()
        }

    def organisation(self, siret: str) -> str | None:
        """An organisation's name."""
        return self._feed.registry.organisations.get(Siret(siret))

    def dataset(self, name: str, language: Language) -> str | None:
        """A dataset's title."""
        manifest = self._manifests.get(name)
        return None if manifest is None else manifest.title[language]

    def field(self, name: str, language: Language) -> str | None:
        """A field's label."""
        found = self._fields.get(name)
        return None if found is None else found.label[language]

    def offered(self, parameter: str, *, organisation: str | None) -> Collection[str]:
        """Values to choose from; those of one organisation, if it is named."""
        siret = None if organisation is None else Siret(organisation)
        return choices(parameter, self._feed.registry, self._manifests, organisation=siret)
