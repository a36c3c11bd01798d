"""Checking the Merkle proofs of RFC 9162 sections 2.1.3.2 and 2.1.4.2, and making them from leaves."""

from collections.abc import Sequence

from audit.merkle import EMPTY_ROOT, HASH_BYTES, Growth, ProofInvalid, node_hash


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree by its leaf hashes."""
    return Growth(0, (), leaves).root if leaves else EMPTY_ROOT


def verify_inclusion(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at ``index`` in the tree of ``size`` leaves. Raises :class:`ProofInvalid`."""
    if not 0 <= index < size:
        raise ProofInvalid("the index is not in the tree")
    _check_lengths([leaf, root, *path])
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the inclusion proof is too short")
    if found != root:
        raise ProofInvalid("the inclusion proof leads to another root")


def verify_consistency(*, size1: int, root1: bytes, size2: int, root2: bytes, path: Sequence[bytes]) -> None:
    """Check that the first tree is a prefix of the second. Raises :class:`ProofInvalid`."""
    if not 0 < size1 <= size2:
        raise ProofInvalid("the first tree is empty, which proves nothing, or larger than the second")
    verify_subtree(range(size1), root1=root1, size=size2, root2=root2, path=path)


def verify_subtree(leaves: range, *, root1: bytes, size: int, root2: bytes, path: Sequence[bytes]) -> None:
    """Check that a tree of these leaves stands in the tree of ``size`` (Merkle Tree Certificates, section 4.4.3).

    One that starts at 0 is a past of the log. An empty one is in every tree, and says nothing of ``root2``. Raises
    :class:`ProofInvalid`.
    """
    first, end = leaves.start, leaves.stop
    if not 0 <= first <= end <= size or (first != end and first % (1 << (end - first - 1).bit_length())):
        raise ProofInvalid("these leaves are no subtree")
    if first == end:
        if path or root1 != EMPTY_ROOT:
            raise ProofInvalid("an empty tree has one root and no proof")
        return
    if end - first == size:
        if path or root1 != root2:
            raise ProofInvalid("trees of one size do not agree")
        return
    _check_lengths([root1, root2, *path])
    if not path:
        raise ProofInvalid("the consistency proof is empty")
    _walk_subtree(leaves, root1, size, root2, path)


def _walk_subtree(leaves: range, root1: bytes, size: int, root2: bytes, path: Sequence[bytes]) -> None:
    start, position, last = leaves.start, leaves.stop - 1, size - 1
    while start != position and (position & 1 or position == last):
        start, position, last = start >> 1, position >> 1, last >> 1
    path = [root1, *path] if start == position else path
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if position & 1 or position == last:
            # What lies to the left is of the first tree too, until its own top is reached.
            first = node_hash(sibling, first) if start < position else first
            second = node_hash(sibling, second)
            while not position & 1 and position:
                start, position, last = start >> 1, position >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        start, position, last = start >> 1, position >> 1, last >> 1
    if last != 0 or first != root1 or second != root2:
        raise ProofInvalid("the consistency proof leads to other roots")


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion proof of ``index`` among these leaf hashes."""
    if not 0 <= index < len(leaves):
        raise ValueError("the index is not in the tree")
    return Growth(0, (), leaves).path(index)


def consistency_path(leaves: Sequence[bytes], size1: int) -> list[bytes]:
    """The proof that the tree of the first ``size1`` leaf hashes is a prefix of the tree of all (RFC 9162 2.1.4.1)."""
    if not 0 < size1 < len(leaves):
        return []
    return _subproof(size1, leaves, whole=True)


def _subproof(size1: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    size = len(leaves)
    if size1 == size:
        return [] if whole else [root_of_leaves(leaves)]
    split = 1 << (size - 1).bit_length() - 1
    if size1 <= split:
        return [*_subproof(size1, leaves[:split], whole=whole), root_of_leaves(leaves[split:])]
    return [*_subproof(size1 - split, leaves[split:], whole=False), root_of_leaves(leaves[:split])]


def _check_lengths(hashes: Sequence[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid(f"a hash has not {HASH_BYTES} bytes")
