"""What writers know of the end of a log that others grow too: little, and enough for every tile."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import NoteSigner
from audit.layout import HEIGHT, WIDTH
from audit.log import Log
from audit.merkle import Growth, Node, leaf_hash
from audit.model import Append
from audit.store import Store, open_store
from audit.store.port import Row
from audit.tiles import Edge, fills_a_tile, read_leaves
from tests.audit.conftest import ORIGIN
from tests.audit.test_known_tiles import UPPER, grow

LEAVES = tuple(leaf_hash(number.to_bytes(4, "big")) for number in range(UPPER + 8 * WIDTH))
NODE = Growth(0, (), LEAVES).node


@pytest.fixture
def writers(database_url: str, key: NoteSigner) -> Iterator[list[Log]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(Log.open(open_store(database_url), key, origin=ORIGIN, timeout=30)))
            for _ in range(2)
        ]


@pytest.mark.enable_socket
@pytest.mark.parametrize("turns", [(0, 1), (0,), (0, 0, 0, 1)], ids=["in turn", "one alone", "one mostly"])
def test_writers_fill_the_tile_above_256_others_whoever_wrote_them(
    key: NoteSigner, store: Store, writers: list[Log], turns: tuple[int, ...]
) -> None:
    before, after = UPPER - WIDTH - 3, UPPER + 5
    grow(store, key, before)
    for at, first in enumerate(range(before, after, 8)):
        asyncio.run(append_all(writers[turns[at % len(turns)]], range(first, first + 8)))
    with store.reading() as session:
        leaves = read_leaves(session, 0, after)
        tiles = session.rows("SELECT level, tile, hashes, root FROM log_tiles ORDER BY level, tile")
    node = Growth(0, (), leaves).node
    assert tiles == [whole_tile(0, tile, node) for tile in range(WIDTH)] + [whole_tile(1, 0, node)]


async def append_all(log: Log, numbers: Sequence[int]) -> None:
    await asyncio.gather(*(log.append(Append({"v": 1, "kind": "test", "number": number}, {})) for number in numbers))


def whole_tile(level: int, tile: int, node: Node) -> Row:
    hashes = b"".join([node(HEIGHT * level, tile * WIDTH + at) for at in range(WIDTH)])
    return level, tile, hashes, node(HEIGHT * (level + 1), tile)


@given(
    start=st.integers(0, 3 * WIDTH) | st.integers(UPPER - 2 * WIDTH, UPPER + 2),
    batches=st.lists(st.integers(1, WIDTH + 2), min_size=1, max_size=6),
    forgets=st.booleans(),
)
def test_an_edge_that_knows_only_what_the_next_batch_fills_makes_the_tiles_of_one_that_knows_all(
    start: int, batches: list[int], *, forgets: bool
) -> None:
    whole, size = edge_at(start, None), start
    partly = edge_at(start, batches[0])
    for count in batches:
        leaves = LEAVES[size : size + count]
        if forgets or partly.lacks(count):
            partly = edge_at(size, count)
        assert not partly.lacks(count)
        assert extended(partly, size, leaves) == extended(whole, size, leaves)
        size += count


def edge_at(size: int, count: int | None) -> Edge:
    """As :func:`audit.tiles.read_end` makes it."""
    levels: list[list[bytes] | None] = [list(LEAVES[size - size % WIDTH : size])]
    for level in range(1, 3):
        complete = size >> HEIGHT * level
        if count is not None and not fills_a_tile(level, size, count):
            levels.append(None)
        elif complete:
            levels.append([NODE(HEIGHT * level, one) for one in range(complete - complete % WIDTH, complete)])
    return Edge(size, levels if size >= WIDTH else levels[:1])


def extended(edge: Edge, size: int, leaves: tuple[bytes, ...]) -> list[Row]:
    return edge.extend(leaves, NODE)
