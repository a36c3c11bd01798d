"""The tree: the vectors of transparency-dev/merkle, every size up to 256, and a real log of another implementation."""

import json
import random
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import NoteVerifier
from audit.layout import TilePath, bundle_of, entries_of, tiles_of
from audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    Growth,
    Node,
    ProofInvalid,
    leaf_hash,
    node_hash,
    path_through,
    right_edge,
)
from audit.verification import (
    consistency_path,
    inclusion_path,
    root_of_leaves,
    verify_consistency,
    verify_inclusion,
    verify_subtree,
)

LOG_OF_ANOTHER = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
AGREEMENTS = 10_000

LEAVES = [leaf_hash(str(number).encode()) for number in range(256)]


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(_root(leaves[:split]), _root(leaves[split:]))


def _vectors(reference: Path, kind: str) -> list[dict[str, object]]:
    files = sorted((reference / "vectors" / "merkle" / "testdata" / kind).rglob("*.json"))
    assert files
    return [json.loads(file.read_text()) for file in files]


def _hashes(vector: dict[str, object], name: str) -> list[bytes]:
    given = vector[name] or []
    return [b64decode(one) for one in (given if isinstance(given, list) else [given])]


def _one(vector: dict[str, object], name: str) -> bytes:
    return b"".join(_hashes(vector, name))


def _accepted(vector: dict[str, object], check: object) -> bool:
    assert callable(check)
    try:
        check()
    except ProofInvalid:
        return False
    return True


def test_every_inclusion_vector_is_judged_as_it_says(reference: Path) -> None:
    for vector in _vectors(reference, "inclusion"):

        def check(vector: dict[str, object] = vector) -> None:
            verify_inclusion(
                leaf=_one(vector, "leafHash"),
                index=int(str(vector["leafIdx"])),
                size=int(str(vector["treeSize"])),
                path=_hashes(vector, "proof"),
                root=_one(vector, "root"),
            )

        assert _accepted(vector, check) is not vector["wantErr"], vector["desc"]


def test_every_consistency_vector_is_judged_as_it_says(reference: Path) -> None:
    for vector in _vectors(reference, "consistency"):

        def check(vector: dict[str, object] = vector) -> None:
            verify_consistency(
                size1=int(str(vector["size1"])),
                root1=_one(vector, "root1"),
                size2=int(str(vector["size2"])),
                root2=_one(vector, "root2"),
                path=_hashes(vector, "proof"),
            )

        assert _accepted(vector, check) is not vector["wantErr"], vector["desc"]


def test_every_vector_of_a_leaf_in_a_subtree_is_judged_as_it_says(reference: Path) -> None:
    """The hashes of leaves ``start`` to ``end`` are a tree of their own."""
    for vector in _vectors(reference, "subtreeinclusion"):
        start, end = int(str(vector["start"])), int(str(vector["end"]))

        def check(vector: dict[str, object] = vector, start: int = start, end: int = end) -> None:
            verify_inclusion(
                leaf=_one(vector, "leafHash"),
                index=int(str(vector["leafIdx"])) - start,
                size=end - start,
                path=_hashes(vector, "proof"),
                root=_one(vector, "root"),
            )

        assert _accepted(vector, check) is not vector["wantErr"], vector["desc"]


def test_every_vector_of_a_subtree_in_a_tree_is_judged_as_it_says(reference: Path) -> None:
    for vector in _vectors(reference, "subtreeconsistency"):

        def check(vector: dict[str, object] = vector) -> None:
            verify_subtree(
                range(int(str(vector["start"])), int(str(vector["end"]))),
                root1=_one(vector, "root1"),
                size=int(str(vector["size"])),
                root2=_one(vector, "root2"),
                path=_hashes(vector, "proof"),
            )

        assert _accepted(vector, check) is not vector["wantErr"], vector["desc"]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_subtree_of_a_tree_is_proved_and_nothing_else(size: int) -> None:
    leaves, root = LEAVES[:size], _root(LEAVES[:size])
    for start in range(size):
        for end in range(start + 1, size + 1):
            if start % (1 << (end - start - 1).bit_length()):
                continue
            path = _subtree_path(start, end, leaves, whole=True)
            verify_subtree(range(start, end), root1=_root(leaves[start:end]), size=size, root2=root, path=path)
            for wrong in ([*path, root], path[:-1], [root, *path[1:]]):
                if wrong != path:
                    with pytest.raises(ProofInvalid):
                        verify_subtree(
                            range(start, end), root1=_root(leaves[start:end]), size=size, root2=root, path=wrong
                        )


def _subtree_path(start: int, end: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """Merkle Tree Certificates, section 4.4.1, word for word."""
    if (start, end) == (0, len(leaves)):
        return [] if whole else [_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if end <= split:
        return [*_subtree_path(start, end, left, whole=whole), _root(right)]
    if split <= start:
        return [*_subtree_path(start - split, end - split, right, whole=whole), _root(left)]
    return [*_subtree_path(0, end - split, right, whole=False), _root(left)]


def test_every_checkpoint_of_a_real_log_is_signed_and_its_root_is_that_of_the_entries(reference: Path) -> None:
    folder, entries = _real_log(reference)
    for size in range(16):
        checkpoint = NoteVerifier(LOG_OF_ANOTHER).open((folder / f"checkpoint.{size}").read_text())
        leaves = [leaf_hash(entry) for entry in entries[:size]]
        assert (checkpoint.size, checkpoint.root) == (size, root_of_leaves(leaves))
    assert (folder / "checkpoint").read_text() == (folder / "checkpoint.15").read_text()


def test_every_tile_and_bundle_of_a_real_log_is_written_and_read_byte_for_byte(reference: Path) -> None:
    folder, entries = _real_log(reference)
    files = {str(file.relative_to(folder)) for file in (folder / "tile").rglob("*") if file.is_file()}
    assert files == {str(tile) for size in range(16) for tile in tiles_of(size)}
    for name in files:
        tile, content = TilePath.parse(name), (folder / name).read_bytes()
        held = entries[tile.first : tile.first + tile.width]
        assert str(tile) == name
        if tile.level == "entries":
            assert entries_of(content, width=tile.width) == held
            assert content == bundle_of(held)
        else:
            assert content == b"".join(map(leaf_hash, held))


def test_a_real_log_proves_each_of_its_leaves_and_each_of_its_pasts_at_every_size(reference: Path) -> None:
    _, entries = _real_log(reference)
    every = [leaf_hash(entry) for entry in entries]
    for size in range(1, 16):
        leaves, root = every[:size], root_of_leaves(every[:size])
        for index in range(size):
            path = inclusion_path(leaves, index)
            verify_inclusion(leaf=leaves[index], index=index, size=size, path=path, root=root)
        for past in range(1, size + 1):
            path = consistency_path(leaves, past)
            verify_consistency(size1=past, root1=root_of_leaves(leaves[:past]), size2=size, root2=root, path=path)


def _real_log(reference: Path) -> tuple[Path, list[bytes]]:
    folder = reference / "vectors" / "tlog" / "testdata" / "log"
    return folder, entries_of((folder / str(TilePath("entries", 0, 15))).read_bytes(), width=15)


def test_pymerkle_makes_the_same_roots_and_the_same_proofs() -> None:
    chance = random.Random(6962)  # noqa: S311  # cases, not secrets
    tree = pymerkle.InmemoryTree()
    tree.append_entries([str(number).encode() for number in range(2_048)])
    leaves = [tree.get_leaf(number + 1) for number in range(2_048)]
    assert leaves[:256] == LEAVES
    levels = _levels(leaves)
    for _ in range(AGREEMENTS):
        size = int(2 ** chance.uniform(0, 11))
        index, past = chance.randrange(size), chance.randint(1, size)
        theirs = tree.prove_inclusion(index + 1, size)
        assert path_through(index, size, levels, right_edge(size, levels)) == theirs.path[1:]
        root, past_root = tree.get_root(size), tree.get_root(past)
        verify_inclusion(leaf=leaves[index], index=index, size=size, path=theirs.path[1:], root=root)
        path = _as_the_rfc_has_it(tree.prove_consistency(past, size))
        assert consistency_path(leaves[:size], past) == path
        verify_consistency(size1=past, root1=past_root, size2=size, root2=root, path=path)


def _levels(leaves: list[bytes]) -> Node:
    rows = [leaves]
    while len(rows[-1]) > 1:
        below = rows[-1]
        rows.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: rows[level][index]


def _as_the_rfc_has_it(proof: pymerkle.ConsistencyProof) -> list[bytes]:
    """pymerkle goes down to a leaf: what lies to the right of the past's last subtree comes in pieces."""
    if proof.prior_size == proof.size:
        return []
    last = proof.subset.index(1)
    pieces = pymerkle.InclusionProof("sha256", True, last, last, proof.rule[:last], proof.path[:last])
    path = [pieces.compute_root(), *proof.path[last + 1 :]]
    return path if proof.prior_size.bit_count() == 1 else [proof.path[last], *path]


def test_every_tree_up_to_256_leaves_proves_each_of_its_leaves_and_each_of_its_pasts() -> None:
    frontier = Frontier()
    for size in range(1, 257):
        frontier.push(LEAVES[size - 1])
        leaves = LEAVES[:size]
        root = frontier.root
        assert root == _root(leaves)
        for index in {0, size // 3, size // 2, size - 1}:
            path = inclusion_path(leaves, index)
            verify_inclusion(leaf=leaves[index], index=index, size=size, path=path, root=root)
        for past in {1, size // 2, size - 1} - {0}:
            path = consistency_path(leaves, past)
            verify_consistency(size1=past, root1=_root(leaves[:past]), size2=size, root2=root, path=path)


@given(st.integers(0, 100), st.integers(1, 100))
@settings(max_examples=100)
def test_a_batch_grows_a_tree_to_the_same_root_and_proves_its_leaves(size: int, added: int) -> None:
    old = Growth(0, (), LEAVES[:size]).frontier if size else ()
    growth = Growth(size, old, LEAVES[size : size + added])
    assert growth.root == _root(LEAVES[: size + added])
    beginnings, end = growth.paths()
    for index, beginning in enumerate(beginnings, size):
        proof = inclusion_path(LEAVES[: size + added], index)
        assert growth.path(index) == beginning + end == proof
    assert len(beginnings) == added


@given(st.integers(2, 64), st.data())
@settings(max_examples=100)
def test_any_changed_bit_of_a_proof_breaks_it(size: int, data: st.DataObject) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index)
    place, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    changed = bytearray(path[place])
    changed[bit // 8] ^= 1 << bit % 8
    path[place] = bytes(changed)
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaf=leaves[index], index=index, size=size, path=path, root=_root(leaves))


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(-2, 9), st.integers(-2, 9))
def test_hostile_proofs_raise_the_one_declared_error(path: list[bytes], index: int, size: int) -> None:
    with suppress(ProofInvalid):
        verify_inclusion(leaf=LEAVES[0], index=index, size=size, path=path, root=LEAVES[1])
    with suppress(ProofInvalid):
        verify_consistency(size1=index, root1=LEAVES[0], size2=size, root2=LEAVES[1], path=path)
