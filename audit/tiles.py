"""Tiles of the tree (C2SP tlog-tiles): 256 hashes each, kept once they are full and never changed.

What is not yet full is the edge. It is never stored: the entries and the full tiles below it say what it holds.
"""

from collections.abc import Sequence

import orjson

from audit.blocks import BLOCK, OpenBlock
from audit.layout import HEIGHT, WIDTH
from audit.merkle import HASH_BYTES, Node, leaf_hash, rows_above
from audit.store.port import Row, Session

READ_ROOTS = "SELECT root FROM log_tiles WHERE level = ? AND tile >= ? AND tile < ? ORDER BY tile"


class Edge:
    """The hashes of the tiles that are not full, by level, as the writer holds them in memory.

    Those of a level above the lowest may be unknown, ``None``, until they are needed: that is when its tile becomes
    full, with one entry in 65,536.
    """

    def __init__(self, size: int, levels: Sequence[list[bytes] | None]) -> None:
        self.size = size
        self._levels = list(levels)

    def lacks(self, count: int) -> bool:
        """Whether ``count`` more entries fill a tile whose hashes are unknown."""
        return any(
            hashes is None and fills_a_tile(level, self.size, count) for level, hashes in enumerate(self._levels)
        )

    def extend(self, leaves: Sequence[bytes], node: Node) -> list[Row]:
        """Take a batch's leaf hashes in, which it must not lack; return the rows of the tiles that became full.

        ``node`` gives the complete nodes that the batch made.
        """
        full: list[Row] = []
        added, level, start = list(leaves), 0, self.size
        while added:
            if level == len(self._levels):
                self._levels.append([])
            if (known := self._levels[level]) is None:
                # What is added to it has no tile to fill, nor has anything above.
                break
            hashes, tile = known + added, (start - len(known)) // WIDTH
            added = []
            while len(hashes) >= WIDTH:
                root = node(HEIGHT * (level + 1), tile)
                full.append((level, tile, b"".join(hashes[:WIDTH]), root))
                added.append(root)
                hashes, tile = hashes[WIDTH:], tile + 1
            self._levels[level] = hashes
            start, level = start // WIDTH, level + 1
        self.size += len(leaves)
        return full


def fills_a_tile(level: int, size: int, count: int) -> bool:
    """Whether ``count`` entries after ``size`` fill a tile of ``level``."""
    return size >> HEIGHT * (level + 1) != (size + count) >> HEIGHT * (level + 1)


def read_end(session: Session, size: int, count: int | None = None) -> tuple[Edge, OpenBlock]:
    """What is not full at the end of a log of ``size``: read at once, as a writer does it while others wait.

    ``count``: the entries that come next, when no more is to be read than they need.
    """
    # A tile and a block are as long: what the one hashes the other finds by.
    first, where = size - size % BLOCK, 'WHERE "index" >= ? AND "index" < ?'
    leaves = f'SELECT leaf FROM log_entries {where} ORDER BY "index"'  # noqa: S608  # marks for the values
    details = f'SELECT "index", detail FROM log_details {where}'  # noqa: S608  # idem
    # Two ranges, not a join, which would look each detail up.
    queries: list[tuple[str, tuple[int, ...]]] = [(leaves, (first, size)), (details, (first, size))]
    needed = [level for level in range(1, _levels(size)) if count is None or fills_a_tile(level, size, count)]
    for level in needed:
        complete = size >> HEIGHT * level
        queries.append((READ_ROOTS, (level - 1, complete - complete % WIDTH, complete)))
    entries, kept, *roots = session.rows_of(queries)
    hashes = [leaf_hash(leaf) for (leaf,) in entries]
    by_index: dict[int, bytes] = dict(kept)
    items = [
        (orjson.loads(leaf), orjson.loads(by_index[index]) if index in by_index else {})
        for index, (leaf,) in enumerate(entries, first)
    ]
    above = {level: [root for (root,) in rows] for level, rows in zip(needed, roots, strict=True)}
    return Edge(size, [hashes, *[above.get(level) for level in range(1, _levels(size))]]), OpenBlock(size, items)


def _levels(size: int) -> int:
    """Levels of tiles that have a hash, at least the lowest."""
    return max(1, -(-size.bit_length() // HEIGHT))


def read_leaves(session: Session, first: int, end: int) -> list[bytes]:
    """The leaf hashes from ``first`` to before ``end``."""
    statement = 'SELECT leaf FROM log_entries WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
    return [leaf_hash(bytes(row[0])) for row in session.rows(statement, (first, end))]


class KnownTiles:
    """Tiles above the lowest level with their inner nodes: read once, as nothing of them ever changes.

    Of a log of ten million entries they are 153; of what is larger, the cache holds a part. Several threads may use it.
    """

    MOST = 1_024
    """Tiles; each takes some 17 kB."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, int], tuple[bytes, ...]] = {}

    def get(self, level: int, tile: int, width: int) -> tuple[bytes, ...] | None:
        """The rows of a tile that is ``width`` hashes wide, if they are known."""
        return self._rows.get((level, tile, width))

    def keep(self, level: int, tile: int, width: int, rows: tuple[bytes, ...]) -> None:
        """Remember them. A cache that is full begins anew."""
        if len(self._rows) >= self.MOST:
            self._rows.clear()
        self._rows[level, tile, width] = rows


class StoredNodes:
    """The complete nodes of a tree of ``size`` leaves, read from full tiles, and from the edge where there are none.

    With its ``frontier`` (largest subtree first, one hash after the other) the edge itself need not be read; with
    ``known`` the upper tiles are read once for all trees of a log.
    """

    def __init__(self, session: Session, size: int, frontier: bytes = b"", known: KnownTiles | None = None) -> None:
        self._session = session
        self.size = size
        self._lowest: dict[int, tuple[bytes, ...]] = {}
        self._known = KnownTiles() if known is None else known
        self._frontier = _subtrees(size, frontier) if frontier else {}

    def learn(self, tile: int, hashes: bytes) -> None:
        """Take a full tile of the lowest level that was read already."""
        if (tile + 1) * WIDTH <= self.size:
            self._lowest[tile] = rows_above(hashes)

    def node(self, level: int, index: int) -> bytes:
        """The complete node at ``level`` and ``index``."""
        if (known := self._frontier.get((level, index))) is not None:
            return known
        tile_level, height = divmod(level, HEIGHT)
        tile, place = divmod(index, WIDTH >> height)
        return self._rows(tile_level, tile)[height][place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def _rows(self, level: int, tile: int) -> tuple[bytes, ...]:
        width = min(WIDTH, (self.size >> HEIGHT * level) - tile * WIDTH)
        rows = self._lowest.get(tile) if level == 0 else self._known.get(level, tile, width)
        if rows is None:
            rows = rows_above(self._read(level, tile, width))
            if level == 0:
                self._lowest[tile] = rows
            else:
                self._known.keep(level, tile, width, rows)
        return rows

    def _read(self, level: int, tile: int, width: int) -> bytes:
        if width == WIDTH and (
            rows := self._session.rows("SELECT hashes FROM log_tiles WHERE level = ? AND tile = ?", (level, tile))
        ):
            return bytes(rows[0][0])
        first, end = tile * WIDTH, tile * WIDTH + width
        if level == 0:
            return b"".join(read_leaves(self._session, first, end))
        return b"".join([bytes(row[0]) for row in self._session.rows(READ_ROOTS, (level - 1, first, end))])


def _subtrees(size: int, frontier: bytes) -> dict[tuple[int, int], bytes]:
    """The perfect subtrees of a frontier, by level and index; none of a frontier that is not of this size."""
    levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
    if len(frontier) != HASH_BYTES * len(levels):
        return {}
    return {(level, (size >> level) - 1): one for level, one in zip(levels, _split(frontier), strict=True)}


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
