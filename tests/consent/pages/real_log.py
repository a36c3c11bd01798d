"""A real log on SQLite, filled as an exchange fills it."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append, EntryValue
from audit.query import Queries
from audit.store import open_store
from exchange.bridge import LogAccesses
from tests.audit.conftest import migrate
from tests.consent.pages.scene import CITIZEN, CLIENT, DETAIL, LOG, SIRET

SKELETON: Mapping[str, EntryValue] = {
    "v": 1,
    "kind": "access",
    "time": "2026-11-23T08:05:09.120Z",
    "request_id": "7c8e4a86-0d6f-4f0e-b0c5-4e6f2c0c9d11",
    "dataset": DETAIL.dataset,
    "fields": list(DETAIL.fields),
    "recipient": SIRET,
    "client": CLIENT.client_id,
    "purpose": DETAIL.purpose,
    "legal_basis": "consent",
    "provider": "cnaf_msa",
    "outcome": "ok",
}


def entry(**changes: EntryValue) -> Append:
    """An entry about Camille."""
    return Append({**SKELETON, **changes}, {"citizen": CITIZEN.pseudonym, "grant_id": "grant-1", "duration_ms": 41})


@contextmanager
def log_of(folder: Path, appends: list[Append], *, key: NoteSigner = LOG) -> Iterator[LogAccesses]:
    """A log that holds these entries, as the pages read it."""
    url = f"sqlite:///{folder / 'log.sqlite'}"
    migrate(url)
    log = Log.open(open_store(url), key, origin=key.name, max_queue=100_000, timeout=60)
    # In a thread of its own: a test with a browser has an event loop already.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(_append(log, appends))).result()
    log.close()
    store = open_store(url)
    yield LogAccesses(Queries(store))
    store.close()


async def _append(log: Log, appends: list[Append]) -> None:
    await asyncio.gather(*(log.append(one) for one in appends))
