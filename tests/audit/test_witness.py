"""What a witness is asked and how it judges, case by case of the specification's list."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint, NoteSigner
from audit.consistency import path_between
from audit.merkle import EMPTY_ROOT, Growth, leaf_hash
from audit.verification import root_of_leaves
from audit.witness import (
    MAX_PROOF_LINES,
    MAX_REQUEST_BYTES,
    NOTHING,
    AddCheckpoint,
    NotCosigned,
    RequestInvalid,
    Seen,
    refusal_of_sender,
    refusal_of_tree,
    write_request,
)

KEY = NoteSigner.generate("accord.example/log")
LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]
LOGS = {KEY.name: [KEY.verifier()]}


def note(size: int, *, root: bytes | None = None, key: NoteSigner = KEY) -> str:
    return key.sign(Checkpoint(key.name, size, root_of_leaves(LEAVES[:size]) if root is None else root))


def path(size1: int, size2: int) -> list[bytes]:
    return path_between(size1, size2, Growth(0, (), LEAVES[:size2]).node) if size2 else []


def asked(old: int, size: int, **changed: bytes) -> AddCheckpoint:
    return AddCheckpoint.parse(write_request(old, path(old, size), note(size, **changed)))  # type: ignore[arg-type]  # root


def seen(size: int) -> Seen:
    return Seen(size, root_of_leaves(LEAVES[:size]))


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_request_is_read_as_it_was_written(old: int, size: int) -> None:
    old, size = min(old, size), max(old, size)
    request = asked(old, size)
    assert (request.old, list(request.path)) == (old, path(old, size))
    assert request.checkpoint == KEY.verifier().open(note(size))
    assert refusal_of_sender(request, LOGS) is None
    assert refusal_of_tree(request, seen(old)) is None


ONE = b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"old 0\n",
        note(1).encode(),
        b"old 0\n" + note(1).encode(),
        b"old\n\n" + note(1).encode(),
        b"old 00\n\n" + note(1).encode(),
        b"old -1\n\n" + note(1).encode(),
        b"old +1\n\n" + note(1).encode(),
        b"old 0 \n\n" + note(1).encode(),
        b"old  0\n\n" + note(1).encode(),
        b"Old 0\n\n" + note(1).encode(),
        b"old 9223372036854775808\n\n" + note(1).encode(),
        "old \u0661\n\n".encode() + note(1).encode(),
        b"old 0\r\n\r\n" + note(1).encode(),
        b"old 1\nshort\n\n" + note(2).encode(),
        f"old 1\n{ONE[:-4]}\n\n{note(2)}".encode(),
        f"old 1\n{ONE} \n\n{note(2)}".encode(),
        f"old 1\n{ONE}".encode() + b"\n" + note(2).encode(),
        ("old 1\n" + f"{ONE}\n" * (MAX_PROOF_LINES + 1) + "\n" + note(2)).encode(),
        b"old 0\n\n" + note(1).encode()[:-1],
        b"old 0\n\n" + note(1).encode() + b"\n",
        b"old 0\n\n" + note(1).replace("\n1\n", "\n01\n").encode(),
        b"old 0\n\n" + note(1).replace("\n1\n", "\n9223372036854775808\n").encode(),
        b"old 0\n\n" + note(1, root=bytes(31)).encode(),
        b"old 0\n\n\xff" + note(1).encode(),
        b"old 0\n\n" + note(1).replace("accord", "acc\x01ord").encode(),
        write_request(0, [], note(1)) + b" " * MAX_REQUEST_BYTES,
    ],
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(RequestInvalid):
        AddCheckpoint.parse(content)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_hostile_bytes_raise_the_one_error_or_are_a_request(noise: bytes, place: int) -> None:
    content = write_request(3, path(3, 9), note(9))
    for attempt in (noise, content[:place] + noise + content[place:], content[:place] + noise):
        try:
            AddCheckpoint.parse(attempt)
        except RequestInvalid:
            continue


def test_a_log_that_is_not_known_is_refused_before_its_signature_is_looked_at() -> None:
    assert refusal_of_sender(asked(0, 1), {}) == NotCosigned("unknown_log")


def test_a_checkpoint_that_the_log_did_not_sign_is_refused() -> None:
    impostor = NoteSigner.generate(KEY.name)
    stranger = AddCheckpoint.parse(write_request(0, [], note(1, key=impostor)))
    assert refusal_of_sender(stranger, LOGS) == NotCosigned("not_signed")


def test_a_line_of_a_known_key_that_does_not_verify_refuses_the_note_whatever_others_say() -> None:
    second = NoteSigner.generate(KEY.name)
    logs = {KEY.name: [KEY.verifier(), second.verifier()]}
    line = note(1, key=second).split("\n\n")[1]
    both = AddCheckpoint.parse(write_request(0, [], note(1) + line))
    assert refusal_of_sender(both, logs) is None
    wrong = note(2, key=second).split("\n\n")[1]
    assert refusal_of_sender(AddCheckpoint.parse(write_request(0, [], note(1) + wrong)), logs) == NotCosigned(
        "not_signed"
    )
    # To a witness that does not know the second key, its line is anybody's.
    assert refusal_of_sender(AddCheckpoint.parse(write_request(0, [], note(1) + wrong)), LOGS) is None


def test_a_note_that_one_key_signed_twice_is_refused() -> None:
    line = note(1).split("\n\n")[1]
    assert refusal_of_sender(AddCheckpoint.parse(write_request(0, [], note(1) + line)), LOGS) == NotCosigned(
        "not_signed"
    )


def test_an_old_size_above_the_checkpoints_is_malformed() -> None:
    request = AddCheckpoint.parse(write_request(3, [], note(2)))
    assert refusal_of_sender(request, LOGS) == NotCosigned("malformed")


@pytest.mark.parametrize(("old", "known"), [(0, 5), (3, 5), (7, 5), (5, 0)])
def test_another_old_size_is_answered_with_the_known_one(old: int, known: int) -> None:
    assert refusal_of_tree(asked(old, 9), seen(known)) == NotCosigned("other_size", known)


def test_the_empty_tree_has_one_root() -> None:
    assert refusal_of_tree(asked(0, 0), NOTHING) is None
    assert refusal_of_tree(asked(0, 0, root=bytes(32)), NOTHING) == NotCosigned("inconsistent")
    assert Seen(0, EMPTY_ROOT) == NOTHING


def test_from_nothing_nothing_is_to_be_proved() -> None:
    request = AddCheckpoint.parse(write_request(0, [bytes(32)], note(9)))
    assert refusal_of_tree(request, NOTHING) == NotCosigned("inconsistent")


def test_two_trees_of_one_size_must_be_the_same() -> None:
    assert refusal_of_tree(asked(9, 9), seen(9)) is None
    assert refusal_of_tree(asked(9, 9, root=bytes(32)), seen(9)) == NotCosigned("inconsistent")
    extra = AddCheckpoint.parse(write_request(9, [bytes(32)], note(9)))
    assert refusal_of_tree(extra, seen(9)) == NotCosigned("inconsistent")


@given(st.integers(1, 299), st.integers(0, 20), st.integers(0, 255))
def test_a_proof_with_one_bit_changed_proves_nothing(old: int, place: int, bit: int) -> None:
    right = path(old, 300)
    wrong = bytearray(right[place % len(right)])
    wrong[bit // 8] ^= 1 << bit % 8
    changed = [bytes(wrong) if at == place % len(right) else one for at, one in enumerate(right)]
    request = AddCheckpoint.parse(write_request(old, changed, note(300)))
    assert refusal_of_tree(request, seen(old)) == NotCosigned("inconsistent")


def test_another_history_is_not_cosigned() -> None:
    request = asked(100, 300)
    assert refusal_of_tree(request, Seen(100, root_of_leaves(LEAVES[100:200]))) == NotCosigned("inconsistent")
