"""Growing a log to a size: the log's own commit in batches of 4,096, without waiting for the disk after each."""

import os
import time
from collections.abc import Callable

from audit.checkpoint import NoteSigner
from audit.commit import Commit, Ends, KnownKeys, seal_all
from audit.entry import SALT_BYTES
from audit.store import open_store
from audit.store.postgresql import PostgresqlSession
from audit.store.sqlite import SqliteSession
from audit.tiles import read_end
from bench.audit_entries import append_like_an_exchange

BATCH = 4_096
YEAR = 365 * 86_400


def fill(url: str, key: NoteSigner, size: int, *, tell: Callable[[str], None]) -> None:
    """Append until the log has ``size`` entries, spread over the year that ends now."""
    session = open_store(url).connect()
    if isinstance(session, SqliteSession):
        session.execute("PRAGMA synchronous=OFF")
    elif isinstance(session, PostgresqlSession):
        session.execute("SET synchronous_commit = off")
    began, now = time.monotonic(), time.time()
    head = session.head()
    first = head.size
    ends = Ends(head.size, *read_end(session, head.size))
    while head.size < size:
        count = min(BATCH, size - head.size)
        at, step = now - YEAR + YEAR * head.size / size, YEAR / size
        appends = [append_like_an_exchange(at + number * step) for number in range(count)]
        salts = os.urandom(SALT_BYTES * count)
        with session.locked([], []) as locked:
            head = locked.head
            commit = Commit(seal_all(appends, salts), head=head, ends=ends, known=KnownKeys(set(), set()), signer=key)
            session.commit(commit.changes())
        head = commit.head
    session.close()
    if url.startswith("postgresql"):
        _analyse(url)
    if head.size > first:
        tell(f"filled {first:,} to {head.size:,} entries in {time.monotonic() - began:.0f} s")


def _analyse(url: str) -> None:
    """As a server does by itself, later: what it would do during a measurement."""
    session = open_store(url).connect()
    session.execute("SET statement_timeout = 0")
    session.execute("VACUUM (ANALYZE)")
    session.execute("CHECKPOINT")
    session.close()
