"""The tree above the leaves' tiles, grown tile after tile, and the roots it had on the way. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from audit.layout import HEIGHT, WIDTH
from audit.merkle import EMPTY_ROOT, node_hash
from audit.replay.hashes import fold, rows_above, split, subtrees
from audit.sources.port import StoredTile
from audit.verifier import Finding

TileOf: TypeAlias = Callable[[int, int, int], StoredTile | None]
"""Level, number and width -> the tile that is kept."""


class TreeUnknown(Exception):
    """The tree cannot be gone on with from where it should be: a tile is not there or cannot be one."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Tree:
    """``rows``: by level from 1, the hashes of the tile that is not full there, as :func:`rows_at` reads them."""

    def __init__(self, first: int, rows: Sequence[list[bytes]], *, tile: TileOf, partial: bool) -> None:
        """``first``: a multiple of 256, the entries below it. ``partial``: whether tiles that are not full are kept."""
        self.count = first // WIDTH
        """Full tiles of leaves."""
        self._rows = [list(row) for row in rows]
        self._frontier = [one for row in reversed(rows) for one in reversed(list(subtrees(rows_above(row), len(row))))]
        self._tile = tile
        self._partial = partial
        self.tiles = 0
        """Tiles that were compared."""

    def push(self, root: bytes) -> Iterator[Finding]:
        """Add a full tile of leaves."""
        carry, count = root, self.count
        while count & 1:
            carry = node_hash(self._frontier.pop(), carry)
            count >>= 1
        self._frontier.append(carry)
        self.count += 1
        level, above = 1, root
        while True:
            if level > len(self._rows):
                self._rows.append([])
            row = self._rows[level - 1]
            row.append(above)
            if len(row) < WIDTH:
                return
            above = rows_above(row)[-1][0]
            yield from self._compare(level, row, above)
            self._rows[level - 1] = []
            level += 1

    def root(self, ragged: bytes = b"") -> bytes:
        """The root, with leaves after the last full tile whose hash is ``ragged``."""
        return fold(self._frontier[::-1], ragged) or EMPTY_ROOT

    def edge(self) -> Iterator[Finding]:
        """Compare the tiles that are not full."""
        if self._partial:
            for level, row in enumerate(self._rows, 1):
                if row:
                    yield from self._compare(level, row, None)

    def _compare(self, level: int, row: Sequence[bytes], above: bytes | None) -> Iterator[Finding]:
        number = ((self.count >> HEIGHT * (level - 1)) - 1) // WIDTH
        stored, place = self._tile(level, number, len(row)), f"tile {level}/{number}"
        self.tiles += 1
        if stored is None:
            yield Finding(place, "it is missing")
        elif stored.hashes != b"".join(row):
            yield Finding(place, "its hashes are not those of the entries")
        elif above is not None and stored.above not in {None, above}:
            yield Finding(place, "the hash kept above it is not its root")


def rows_at(first: int, size: int, tile: TileOf) -> list[list[bytes]]:
    """The rows of a tree of ``first`` entries, a multiple of 256, from the tiles of one of ``size``.

    Raises :class:`TreeUnknown`.
    """
    rows, level = [], 1
    while count := first >> HEIGHT * level:
        number, wanted = divmod(count, WIDTH)
        hashes: list[bytes] = []
        if wanted:
            width = min(WIDTH, (size >> HEIGHT * level) - number * WIDTH)
            stored = tile(level, number, width)
            hashes = [] if stored is None else split(stored.hashes)[:wanted]
            if len(hashes) != wanted:
                problem = f"it is needed for the root of the {first} entries before, and is not there or not whole"
                raise TreeUnknown(Finding(f"tile {level}/{number}", problem))
        rows.append(hashes)
        level += 1
    return rows
