"""One reader's proofs while the log grows: what it keeps of upper tiles serves every size, and never a wrong one."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from audit.checkpoint import NoteSigner
from audit.commit import Commit, Ends, KnownKeys, seal_all
from audit.entry import SALT_BYTES
from audit.merkle import leaf_hash
from audit.model import Append
from audit.proof import ProofInvalid, TlogProof
from audit.query import Queries
from audit.store import Store
from audit.tiles import KnownTiles, read_end
from tests.audit.tampering import tamper

pytestmark = pytest.mark.enable_socket

WIDTH = 256
UPPER = WIDTH * WIDTH
"""Entries under one tile of the second level."""


def grow(store: Store, key: NoteSigner, size: int) -> None:
    """The log's own commit, in batches of up to 4,096."""
    with closing(store.connect()) as session:
        head = session.head()
        ends = Ends(head.size, *read_end(session, head.size))
        while head.size < size:
            count = min(4_096, size - head.size)
            appends = [Append({"v": 1, "kind": "test", "number": head.size + at}, {}) for at in range(count)]
            with session.locked([], []) as locked:
                batch = seal_all(appends, os.urandom(SALT_BYTES * count))
                known = KnownKeys(locked.spent, locked.closed)
                commit = Commit(batch, head=locked.head, ends=ends, known=known, signer=key)
                session.commit(commit.changes())
            head = commit.head


def check(queries: Queries, key: NoteSigner, index: int, *, size: int) -> None:
    stored = queries.entry(index)
    assert stored is not None
    checkpoint = TlogProof.parse(queries.proof(index)).verify(leaf_hash(stored.leaf), key.verifier())
    assert checkpoint.size == size


def test_a_reader_proves_every_entry_at_every_size_around_the_edges_of_tiles(store: Store, key: NoteSigner) -> None:
    queries = Queries(store)
    for size in (1, 255, 256, 257, 511, 512, 513, UPPER - 1, UPPER, UPPER + 1, UPPER + 255, UPPER + 256, UPPER + 513):
        grow(store, key, size)
        for index in {0, 255, 256, 511, 512, size // 2, UPPER - 1, UPPER, UPPER + 255, UPPER + 256, size - 1}:
            if index < size:
                check(queries, key, index, size=size)


def test_several_threads_prove_by_one_reader(store: Store, key: NoteSigner) -> None:
    queries, size = Queries(store), 3 * WIDTH + 7
    grow(store, key, size)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda index: check(queries, key, index, size=size), range(size)))


def test_a_cache_that_is_full_begins_anew() -> None:
    tiles = KnownTiles()
    for tile in range(tiles.MOST + 1):
        tiles.keep(1, tile, WIDTH, (b"row",))
    assert tiles.get(1, 0, WIDTH) is None
    assert tiles.get(1, tiles.MOST, WIDTH) == (b"row",)


def test_another_copy_of_the_database_is_proved_by_its_own_tiles(
    store: Store, database_url: str, key: NoteSigner
) -> None:
    queries = Queries(store)
    grow(store, key, 3 * WIDTH)
    check(queries, key, 300, size=3 * WIDTH)
    for table in ("entries", "details", "tiles", "blocks", "postings", "lookups", "checkpoints"):
        tamper(database_url, f"DELETE FROM log_{table}", ())  # noqa: S608  # tables of this list
    grow(store, key, 3 * WIDTH)
    check(queries, key, 300, size=3 * WIDTH)


def test_a_tile_that_is_missing_is_read_from_what_is_below_it(store: Store, database_url: str, key: NoteSigner) -> None:
    grow(store, key, 3 * WIDTH)
    tamper(database_url, "DELETE FROM log_tiles WHERE tile = ?", (1,))
    check(Queries(store), key, 300, size=3 * WIDTH)


def test_a_proof_over_a_changed_tile_does_not_verify(store: Store, database_url: str, key: NoteSigner) -> None:
    """Whoever receives it finds out: the reader proves what is stored, and vouches for nothing."""
    grow(store, key, 3 * WIDTH)
    stored = Queries(store).entry(300)
    assert stored is not None
    tamper(database_url, "UPDATE log_tiles SET hashes = ? WHERE level = 0 AND tile = 1", (b"x" * 32 * WIDTH,))
    with pytest.raises(ProofInvalid):
        TlogProof.parse(Queries(store).proof(300)).verify(leaf_hash(stored.leaf), key.verifier())
