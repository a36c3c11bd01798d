"""The hashes of a tile of 256 leaves, and of the trees that end within it. Pure."""

from collections.abc import Iterator, Sequence

from audit.merkle import HASH_BYTES, node_hash


def rows_above(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """The hashes, and above them each level's complete nodes."""
    rows = [list(hashes)]
    while len(row := rows[-1]) > 1:
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


def subtrees(rows: Sequence[Sequence[bytes]], count: int) -> Iterator[bytes]:
    """The perfect subtrees of the first ``count`` leaves of a tile, smallest first."""
    for level in range(count.bit_length()):
        if count >> level & 1:
            yield rows[level][(count >> level) - 1]


def fold(subtrees_from_smallest: Iterator[bytes] | Sequence[bytes], right: bytes = b"") -> bytes:
    """The hash over subtrees and, at their right, over what ends there already; empty without any."""
    for left in subtrees_from_smallest:
        right = node_hash(left, right) if right else left
    return right


def split(hashes: bytes) -> list[bytes]:
    """Hashes that lie one after the other."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
