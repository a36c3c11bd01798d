"""Making the proof that a log only grew (RFC 9162 section 2.1.4.1) from the nodes of its tree. Pure.

:func:`audit.verification.consistency_path` makes the same from all the leaves; here a few tiles are enough.
"""

from audit.merkle import Node, root_of


def path_between(size1: int, size2: int, node: Node) -> list[bytes]:
    """The proof that the first ``size1`` leaves are a prefix of the ``size2``; empty when nothing is to be proved.

    ``node`` gives the complete node at a level and an index of the tree of ``size2`` leaves.
    """
    if not 0 < size1 < size2:
        return []
    path: list[bytes] = []
    first, end, whole = 0, size2, True
    # From the root down to where the smaller tree ends; what is passed on the way is the proof, from below.
    while size1 != end:
        split = first + (1 << (end - first - 1).bit_length() - 1)
        if size1 <= split:
            path.append(_hash(split, end, node))
            end = split
        else:
            path.append(_hash(first, split, node))
            first, whole = split, False
    if not whole:
        path.append(_hash(first, end, node))
    return path[::-1]


def _hash(first: int, end: int, node: Node) -> bytes:
    """The hash over the leaves from ``first``, which begins a subtree, to before ``end``."""
    frontier = []
    while first < end:
        level = (end - first).bit_length() - 1
        frontier.append(node(level, first >> level))
        first += 1 << level
    return root_of(frontier)
