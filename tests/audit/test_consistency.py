"""Consistency proofs from nodes: the same as from all the leaves, and accepted by the check."""

import asyncio
import random

import pytest

from audit.checkpoint import NoteSigner
from audit.consistency import path_between
from audit.log import Log
from audit.merkle import Frontier, Growth, leaf_hash
from audit.model import Append
from audit.store import open_store
from audit.tiles import StoredNodes
from audit.verification import consistency_path, verify_consistency
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

LARGE = 65_536 + 300


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(LARGE)]


def test_every_pair_of_sizes_has_the_proof_that_the_leaves_give(leaves: list[bytes]) -> None:
    for size2 in range(131):
        node = Growth(0, (), leaves[:size2]).node if size2 else _nothing
        for size1 in range(size2 + 2):
            assert path_between(size1, size2, node) == consistency_path(leaves[:size2], size1), (size1, size2)


def test_proofs_across_the_ends_of_tiles_are_accepted(leaves: list[bytes]) -> None:
    roots = _roots(leaves)
    ends = [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, LARGE - 1]
    drawn = random.Random(20261124).sample(range(1, LARGE), 60)  # noqa: S311  # sizes, the same ones every time
    for size2 in (257, 513, 65_536, 65_537, LARGE):
        node = Growth(0, (), leaves[:size2]).node
        for size1 in sorted({*ends, *drawn}):
            if size1 >= size2:
                continue
            path = path_between(size1, size2, node)
            assert path, (size1, size2)
            verify_consistency(size1=size1, root1=roots[size1], size2=size2, root2=roots[size2], path=path)
    assert path_between(65_536, LARGE, Growth(0, (), leaves).node) == consistency_path(leaves, 65_536)


def test_the_stored_tiles_give_the_proof_of_any_two_checkpoints(database_url: str, key: NoteSigner) -> None:
    log = Log.open(open_store(database_url), key, origin=ORIGIN, max_batch=37)
    asyncio.run(_fill(log, 600))
    log.close()
    verifier, store = key.verifier(), open_store(database_url)
    with store.reading() as read:
        notes = [verifier.open(row[0]) for row in read.rows("SELECT note FROM log_checkpoints ORDER BY size")]
        newest = notes[-1]
        assert newest.size == 600
        node = StoredNodes(read, newest.size).node
        for one in notes:
            path = path_between(one.size, newest.size, node)
            verify_consistency(size1=one.size, root1=one.root, size2=newest.size, root2=newest.root, path=path)
    store.close()


async def _fill(log: Log, count: int) -> None:
    skeleton = {"v": 1, "kind": "access", "time": "2026-11-24T00:00:00.000Z", "outcome": "ok"}
    await asyncio.gather(*(log.append(Append({**skeleton, "request_id": str(number)})) for number in range(count)))


def _roots(leaves: list[bytes]) -> list[bytes]:
    frontier = Frontier()
    roots = [frontier.root]
    for leaf in leaves:
        frontier.push(leaf)
        roots.append(frontier.root)
    return roots


def _nothing(level: int, index: int) -> bytes:
    raise AssertionError((level, index))
