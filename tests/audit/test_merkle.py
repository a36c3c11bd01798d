"""The tree: the vectors of transparency-dev/merkle, every size up to 256, and a real log of another implementation."""

import json
import struct
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import NoteVerifier
from audit.merkle import EMPTY_ROOT, Frontier, Growth, ProofInvalid, leaf_hash, node_hash
from audit.verification import (
    consistency_path,
    inclusion_path,
    root_of_leaves,
    verify_consistency,
    verify_inclusion,
)

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


def test_a_real_log_of_another_implementation_is_followed_size_by_size(reference: Path) -> None:
    folder = reference / "vectors" / "tlog" / "testdata" / "log"
    verifier = NoteVerifier("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    leaves = [leaf_hash(entry) for entry in _bundle((folder / "tile/entries/000.p/15").read_bytes())]
    for size in range(1, 16):
        checkpoint = verifier.open((folder / f"checkpoint.{size}").read_text())
        assert (checkpoint.size, checkpoint.root) == (size, root_of_leaves(leaves[:size]))
        assert (folder / f"tile/0/000.p/{size}").read_bytes() == b"".join(leaves[:size])


def _bundle(content: bytes) -> list[bytes]:
    entries, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from(">H", content, at)
        entries.append(content[at + 2 : at + 2 + length])
        at += 2 + length
    return entries


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
