"""A retention run: details of accesses, and ended grants, go once they have been kept as long as their datasets say.

1. the entries that are due, in the order of the log, a batch for each rule
2. each batch is one commit: its entry ``retention.applied``, and what it names erased with it
3. then the grants that ended as long ago: the log's keys of theirs went with their entries
4. keys that stay spent, as tokens may still be made from their grants, lose what ties them to erased entries
5. the database is asked to let go of the space

A crash between two batches leaves a sound log and a run to be run again. Between batches others get their turn.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append, LogBroken, LogUnavailable
from audit.retention import MOST_AT_ONCE, Due, Rule, Schedule, due, untie
from audit.store import Store, open_store
from consent.retention import EndedGrants
from exchange import journal
from exchange.database import open_engine, pending_migrations
from exchange.database_rights import RightsRefused, check_may_erase, reclaim
from exchange.keyring import KeyringError, load_keyring
from exchange.settings import Settings
from providers.manifest import ManifestError
from providers.model import Manifest
from providers.registry import catalogue
from providers.retention import LONGEST, Retention

WITHOUT_DATASET = "P1Y"
"""Auditors' own queries and refusals before any dataset was named: a year, CNIL's ordinary limit for logs, so that a
yearly inspection still finds them."""

TIMEOUT = 30.0
"""Seconds that a batch may wait for the database."""
PAUSE = 0.02
"""Seconds that other writers are given after a batch."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is due, or went: entries by rule, and grants."""

    entries: Mapping[Rule, int]
    grants: int
    lingers: bool = False
    """Whether readers kept the database from letting go of the old pages."""


class RetentionRefused(Exception):
    """Nothing was erased, or not all; the message says why and what to do."""


def run_retention(settings: Settings, *, erase: bool, now: float | None = None) -> Report:
    """``accord audit retain``: say what is due at ``now`` (Unix seconds), or erase it.

    Raises :class:`RetentionRefused`.
    """
    clock = time.time if now is None else lambda: now
    try:
        schedule = schedule_of(catalogue(settings.manifests_dir), now=clock())
    except ManifestError as error:
        raise RetentionRefused(str(error)) from None
    engine, store = open_engine(settings.database_url), open_store(settings.database_url)
    try:
        if pending_migrations(engine):
            raise RetentionRefused("the database is not at the newest version: run 'accord db migrate'")
        if not erase:
            return look(store, engine, schedule)
        check_may_erase(engine)
        report = apply(store, load_keyring(settings.keys_dir).log, engine, schedule, clock=clock)
        return replace(report, lingers=not reclaim(engine))
    except (KeyringError, RightsRefused, LogBroken) as error:
        raise RetentionRefused(str(error)) from None
    except (LogUnavailable, SQLAlchemyError) as error:
        # The database's own message may quote values.
        said = str(error) if isinstance(error, LogUnavailable) else type(error).__name__
        raise RetentionRefused(f"{said}: run it again, what was erased until then stays so") from None
    finally:
        store.close()
        engine.dispose()


def schedule_of(manifests: Mapping[str, Manifest], *, now: float) -> Schedule:
    """The rules of the catalogue at ``now`` (Unix seconds). What is no longer in it is kept longest."""
    retentions = {name: manifest.retention for name, manifest in manifests.items()}
    return Schedule(
        {name: _rule(name, retention, now) for name, retention in retentions.items()},
        without=_rule("", Retention.parse(WITHOUT_DATASET), now),
        unknown=_rule("", Retention.parse(LONGEST), now),
    )


def look(store: Store, engine: Engine, schedule: Schedule) -> Report:
    """What a run would erase. Raises ``LogUnavailable``."""
    ended = _ended(engine, schedule)
    grants = sum(len(some) for some in ended.due(latest=schedule.latest))
    return Report(_counted(schedule, Counter(one.rule for one in due(store, schedule))), grants)


def apply(
    store: Store, key: NoteSigner, engine: Engine, schedule: Schedule, *, clock: Callable[[], float] = time.time
) -> Report:
    """Erase what is due. Raises ``LogError``: what was erased until then is in the log."""
    ended = _ended(engine, schedule)
    erased: Counter[Rule] = Counter()
    with closing(Log.open(store, key, origin=key.name, timeout=TIMEOUT)) as log:
        for rule, batch in _batches(due(store, schedule)):
            log.append_blocking(_entry(rule, batch, ended, now=clock()))
            erased[rule] += len(batch)
            time.sleep(PAUSE)
    grants = _blank(ended, schedule)
    untie(store, journal.SINGLE_USE, between=lambda: time.sleep(PAUSE))
    return Report(_counted(schedule, erased), grants)


def _counted(schedule: Schedule, found: Mapping[Rule, int]) -> Mapping[Rule, int]:
    """Every rule of the catalogue with its count, and those of datasets that are no longer in it."""
    return {**dict.fromkeys((*schedule.datasets.values(), schedule.without), 0), **found}


def _batches(found: Iterator[Due]) -> Iterator[tuple[Rule, list[Due]]]:
    held: dict[Rule, list[Due]] = defaultdict(list)
    for one in found:
        held[one.rule].append(one)
        if len(held[one.rule]) == MOST_AT_ONCE:
            yield one.rule, held.pop(one.rule)
    yield from held.items()


def _entry(rule: Rule, batch: list[Due], ended: EndedGrants, *, now: float) -> Append:
    lasting = ended.lasting({str(one.detail["grant_id"]) for one in batch if "grant_id" in one.detail})
    releases = [
        key
        for one in batch
        for key in journal.released_keys(one, grant_is_over=one.detail.get("grant_id") not in lasting)
    ]
    return journal.retention_applied(rule, batch, releases=releases, request_id=str(uuid4()), now=now)


def _blank(ended: EndedGrants, schedule: Schedule) -> int:
    blanked = 0
    for some in ended.due(latest=schedule.latest):
        ended.blank(some)
        blanked += len(some)
    return blanked


def _ended(engine: Engine, schedule: Schedule) -> EndedGrants:
    return EndedGrants(engine, cut_off=lambda datasets: schedule.of(datasets).before)


def _rule(dataset: str, retention: Retention, now: float) -> Rule:
    return Rule(int(retention.before(datetime.fromtimestamp(now, UTC)).timestamp()), dataset, retention.text)
