"""Tiles of the tree (C2SP tlog-tiles): 256 hashes each, kept once they are full and never changed.

What is not yet full is the edge. It is never stored: the entries and the full tiles below it say what it holds.
"""

from collections.abc import Iterable, Sequence

import orjson

from audit.blocks import BLOCK, OpenBlock
from audit.layout import HEIGHT, MAX_LEVEL, WIDTH
from audit.merkle import HASH_BYTES, Node, leaf_hash, root_of_row
from audit.store.port import Row, Session


class Edge:
    """The hashes of the tiles that are not full, by level, as the writer holds them in memory."""

    def __init__(self, size: int, levels: Sequence[list[bytes]]) -> None:
        self.size = size
        self._levels = [list(level) for level in levels]

    def extend(self, leaves: Sequence[bytes], node: Node) -> list[Row]:
        """Take a batch's leaf hashes in; return the rows of the tiles that became full.

        ``node`` gives the complete nodes that the batch made.
        """
        full: list[Row] = []
        added, level, start = list(leaves), 0, self.size
        while added:
            if level == len(self._levels):
                self._levels.append([])
            hashes = self._levels[level] + added
            tile = (start - len(self._levels[level])) // WIDTH
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


def read_end(session: Session, size: int) -> tuple[Edge, OpenBlock]:
    """What is not full at the end of a log of ``size``: read at once, as a writer does it while others wait."""
    # A tile and a block are as long: what the one hashes the other finds by.
    entries = (
        'SELECT e.leaf, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
        'WHERE e."index" >= ? AND e."index" < ? ORDER BY e."index"'
    )
    roots = "SELECT root FROM log_tiles WHERE level = ? AND tile >= ? AND tile < ? ORDER BY tile"
    above = []
    level, complete = 1, size // WIDTH
    while complete:
        above.append((roots, (level - 1, complete - complete % WIDTH, complete)))
        level, complete = level + 1, complete // WIDTH
    last, *levels = session.rows_of([(entries, (size - size % BLOCK, size)), *above])
    hashes = [leaf_hash(bytes(leaf)) for leaf, _ in last]
    items = [(orjson.loads(leaf), orjson.loads(detail) if detail else {}) for leaf, detail in last]
    return Edge(size, [hashes, *[[bytes(row[0]) for row in rows] for rows in levels]]), OpenBlock(size, items)


def read_leaves(session: Session, first: int, end: int) -> list[bytes]:
    """The leaf hashes from ``first`` to before ``end``."""
    statement = 'SELECT leaf FROM log_entries WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
    return [leaf_hash(bytes(row[0])) for row in session.rows(statement, (first, end))]


class StoredNodes:
    """The complete nodes of a tree of ``size`` leaves, read from full tiles, and from the edge where there are none.

    With its ``frontier`` (largest subtree first, one hash after the other) the edge itself need not be read.
    """

    def __init__(self, session: Session, size: int, frontier: bytes = b"") -> None:
        self._session = session
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._frontier = _subtrees(size, frontier) if frontier else {}

    @staticmethod
    def above(index: int) -> tuple[str, tuple[int, ...]]:
        """The question for the full tiles on the way from a leaf to the root, of however large a tree."""
        wanted = [part for level in range(MAX_LEVEL + 1) for part in (level, index >> HEIGHT * (level + 1))]
        where = " OR ".join(["level = ? AND tile = ?"] * (MAX_LEVEL + 1))
        return f"SELECT level, tile, hashes FROM log_tiles WHERE {where}", tuple(wanted)  # noqa: S608  # marks for the values

    def learn(self, tiles: Iterable[Row]) -> None:
        """Take the answer to :meth:`above`; tiles that became full since this size are not of its tree."""
        for level, tile, hashes in tiles:
            if (tile + 1) << HEIGHT * (level + 1) <= self._size:
                self._tiles[level, tile] = bytes(hashes)

    def node(self, level: int, index: int) -> bytes:
        """The complete node at ``level`` and ``index``."""
        if (known := self._frontier.get((level, index))) is not None:
            return known
        tile_level, height = divmod(level, HEIGHT)
        width = 1 << height
        tile, first = divmod(index * width, WIDTH)
        return root_of_row(self._hashes(tile_level, tile)[first * HASH_BYTES : (first + width) * HASH_BYTES])

    def _hashes(self, level: int, tile: int) -> bytes:
        if (level, tile) not in self._tiles:
            self._tiles[level, tile] = self._read(level, tile)
        return self._tiles[level, tile]

    def _read(self, level: int, tile: int) -> bytes:
        rows = self._session.rows("SELECT hashes FROM log_tiles WHERE level = ? AND tile = ?", (level, tile))
        if rows:
            return bytes(rows[0][0])
        if level == 0:
            return b"".join(read_leaves(self._session, tile * WIDTH, min((tile + 1) * WIDTH, self._size)))
        statement = "SELECT root FROM log_tiles WHERE level = ? AND tile >= ? AND tile < ? ORDER BY tile"
        below = self._session.rows(statement, (level - 1, tile * WIDTH, (tile + 1) * WIDTH))
        return b"".join([bytes(row[0]) for row in below])


def _subtrees(size: int, frontier: bytes) -> dict[tuple[int, int], bytes]:
    """The perfect subtrees of a frontier, by level and index; none of a frontier that is not of this size."""
    levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
    if len(frontier) != HASH_BYTES * len(levels):
        return {}
    return {(level, (size >> level) - 1): one for level, one in zip(levels, _split(frontier), strict=True)}


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
