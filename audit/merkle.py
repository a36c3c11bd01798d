"""The Merkle tree of RFC 6962 (RFC 9162 section 2.1) over SHA-256: pure functions over bytes.

A tree of ``n`` leaves is the frontier of its perfect subtrees, largest first: one for each bit set in ``n``.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeAlias

Node: TypeAlias = Callable[[int, int], bytes]
"""Level and index of a complete subtree -> its hash."""

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32


class ProofInvalid(ValueError):
    """A proof does not prove what it should."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of an entry's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def rows_above(hashes: bytes) -> tuple[bytes, ...]:
    """A row of nodes that stand side by side, from an even place on, and the complete rows above it, lowest first.

    Each row is its hashes one after the other.
    """
    rows, pair = [hashes], 2 * HASH_BYTES
    while (whole := len(rows[-1]) - len(rows[-1]) % pair) > 0:
        row = rows[-1]
        rows.append(b"".join([sha256(b"\x01" + row[at : at + pair]).digest() for at in range(0, whole, pair)]))
    return tuple(rows)


def root_of(frontier: Sequence[bytes]) -> bytes:
    """The root of the tree with this frontier."""
    if not frontier:
        return EMPTY_ROOT
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = node_hash(left, root)
    return root


class Frontier:
    """A tree grown leaf by leaf, which holds nothing but its perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes: list[bytes] = []

    def push(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        carry, size = leaf, self.size
        while size & 1:
            carry = node_hash(self._hashes.pop(), carry)
            size >>= 1
        self._hashes.append(carry)
        self.size += 1

    @property
    def hashes(self) -> bytes:
        """The frontier, largest subtree first, as the head keeps it."""
        return b"".join(self._hashes)

    @property
    def root(self) -> bytes:
        """The root."""
        return root_of(self._hashes)


class Growth:
    """A tree of ``size`` leaves grown by a batch: the new frontier and root, and proofs for the batch's leaves.

    Every sibling on the way from a new leaf to the root is either in the old frontier or made from the batch, so
    nothing is read from storage.
    """

    def __init__(self, size: int, frontier: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """``leaves``: the batch's leaf hashes, at least one."""
        self.size = size + len(leaves)
        self._start = size
        old = _by_level(size, frontier)
        # Per level: index of the first known node, and the known complete nodes from there on.
        self._rows: list[tuple[int, list[bytes]]] = []
        start, row = size, list(leaves)
        level = 0
        while row or level in old:
            if level in old and start & 1:
                row.insert(0, old[level])
                start -= 1
            self._rows.append((start, row))
            start, row = start >> 1, [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            level += 1
        self._old = old
        self._edge = right_edge(self.size, self.node)

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """The perfect subtrees of the grown tree, largest first."""
        levels = range(self.size.bit_length() - 1, -1, -1)
        return tuple(self.node(level, (self.size >> level) - 1) for level in levels if self.size >> level & 1)

    @property
    def root(self) -> bytes:
        """The root of the grown tree."""
        return root_of(self.frontier)

    def path(self, index: int) -> list[bytes]:
        """The inclusion proof of leaf ``index``, which must be one of the batch's."""
        return path_through(index, self.size, self.node, self._edge)

    def paths(self) -> tuple[list[list[bytes]], list[bytes]]:
        """The inclusion proofs of the batch's leaves: each one's beginning, and the end that all of them share.

        From the level on at which the whole batch lies under one node, every proof goes on alike.
        """
        first, last = self._start, self.size - 1
        joined = (first ^ last).bit_length()
        beginnings: list[list[bytes]] = [[] for _ in range(first, last + 1)]
        for level in range(joined):
            start, row = self._rows[level]
            complete, ragged = self.size >> level, self._edge[level]
            for path, index in zip(beginnings, range(first, last + 1), strict=True):
                sibling = index >> level ^ 1
                if sibling < complete:
                    path.append(row[sibling - start] if sibling >= start else self._old[level])
                elif sibling == complete and ragged is not None:
                    path.append(ragged)
        top = (self.size - 1).bit_length()
        return beginnings, path_through(first, self.size, self.node, self._edge, levels=range(joined, top))

    def node(self, level: int, index: int) -> bytes:
        """A complete node: of the batch, or of the old frontier."""
        if level < len(self._rows):
            start, row = self._rows[level]
            if 0 <= index - start < len(row):
                return row[index - start]
        return self._old[level]


def right_edge(size: int, node: Node) -> list[bytes | None]:
    """Per level, the hash of the incomplete node at the right edge of the tree, if there is one."""
    edge: list[bytes | None] = [None]
    for level in range(size.bit_length()):
        below = edge[level]
        complete = size >> level
        if complete & 1:
            last = node(level, complete - 1)
            edge.append(last if below is None else node_hash(last, below))
        else:
            edge.append(below)
    return edge


def path_through(
    index: int, size: int, node: Node, edge: Sequence[bytes | None], *, levels: range | None = None
) -> list[bytes]:
    """The inclusion proof of ``index`` in a tree of ``size`` leaves (RFC 9162 section 2.1.3.1), or some levels of it.

    ``node`` gives the complete node at a level and an index, ``edge`` is :func:`right_edge`.
    """
    path = []
    for level in range((size - 1).bit_length()) if levels is None else levels:
        sibling = index >> level ^ 1
        complete = size >> level
        if sibling < complete:
            path.append(node(level, sibling))
        elif sibling == complete and (ragged := edge[level]) is not None:
            path.append(ragged)
    return path


def _by_level(size: int, frontier: Sequence[bytes]) -> dict[int, bytes]:
    levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
    if len(levels) != len(frontier):
        raise ValueError(f"a tree of {size} leaves has {len(levels)} perfect subtrees, not {len(frontier)}")
    return dict(zip(levels, frontier, strict=True))
