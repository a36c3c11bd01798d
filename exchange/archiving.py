"""``accord audit archive``: the agreement from the settings, the log that records the act, the archive itself."""

import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from audit.archive import ArchiveRefused, Asked, Period, make_archive
from audit.log import Log
from audit.model import LogError
from audit.seda import Agreement, Archived
from audit.store import StoreError, open_store
from exchange import journal
from exchange.database import open_engine, pending_migrations
from exchange.keyring import KeyringError, load_keyring
from exchange.settings import ArchiveSettings, Settings

_NEEDED = ("ARCHIVAL_AGENCY", "TRANSFERRING_AGENCY")


def archive(settings: Settings, period: str, *, target: Path, details: bool) -> Archived:
    """Archive a period. Raises :class:`ArchiveRefused` or ``ArchiveUnsound``; nothing is left then."""
    asked_period, agreement = Period.parse(period), agreement_of(settings.archive)
    if details and agreement.details_rule is None:
        raise ArchiveRefused(
            "details are personal data: set ACCORD_ARCHIVE__DETAILS_RULE, the archives service's rule at whose end it "
            "destroys them, or archive without them"
        )
    try:
        key = load_keyring(settings.keys_dir).log
        _check_migrations(settings.database_url)
        store = open_store(settings.database_url)
        with closing(Log.open(store, key, origin=settings.log_origin, timeout=settings.log_timeout)) as log:

            def record(archived: Archived) -> None:
                log.append_blocking(journal.archive_made(archived, request_id=str(uuid4()), now=time.time()))

            asked = Asked(asked_period, target, details, agreement, vkey=key.vkey, now=time.time())
            with closing(store.connect()) as session:
                return make_archive(session, asked, record=record)
    except (KeyringError, LogError) as error:
        raise ArchiveRefused(f"{error}; no archive was made") from None
    except StoreError as error:
        raise ArchiveRefused(f"the log cannot be read: {error}; no archive was made") from None
    except SQLAlchemyError as error:
        # The type alone: messages may quote values.
        raise ArchiveRefused(f"the database cannot be read: {type(error).__name__}; no archive was made") from None


def agreement_of(settings: ArchiveSettings | None) -> Agreement:
    """What was agreed with the archives service. Raises :class:`ArchiveRefused` naming the settings that say it."""
    if settings is None:
        names = " and ".join(f"ACCORD_ARCHIVE__{name}" for name in _NEEDED)
        raise ArchiveRefused(
            f"an archive names the services concerned: set {names}; 'accord settings' lists the others"
        )
    return Agreement(**settings.model_dump(exclude={"originating_agency"}), originating_agency=settings.producer)


def _check_migrations(url: str) -> None:
    engine = open_engine(url)
    try:
        if pending_migrations(engine):
            raise ArchiveRefused("the database is not at the newest version: run 'accord db migrate'")
    finally:
        engine.dispose()
