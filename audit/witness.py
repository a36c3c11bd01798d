"""What a witness is asked and how it judges (C2SP tlog-witness, ``add-checkpoint``). Pure: no clock, no state, no HTTP.

A witness knows of each log the tree that it cosigned last. It cosigns another one only if that tree is a prefix of it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from audit.checkpoint import Checkpoint, NoteVerifier
from audit.merkle import EMPTY_ROOT, HASH_BYTES, ProofInvalid
from audit.note import NoteInvalid, SignedNote, decode_base64, decode_size
from audit.verification import verify_consistency

MAX_REQUEST_BYTES = 65_536
MAX_PROOF_LINES = 63
ADD_CHECKPOINT = "/add-checkpoint"
SIZE_MEDIA_TYPE = "text/x.tlog.size"

Reason: TypeAlias = Literal["malformed", "unknown_log", "not_signed", "other_size", "inconsistent"]
TrustedLogs: TypeAlias = Mapping[str, Sequence[NoteVerifier]]
"""By origin, the keys that may sign its checkpoints."""


class RequestInvalid(ValueError):
    """Not a request to a witness."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: cosign this checkpoint, of which the tree that you cosigned last, of ``old`` entries, is a prefix."""

    old: int
    path: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a request. Raises :class:`RequestInvalid`."""
        if len(content) > MAX_REQUEST_BYTES:
            raise RequestInvalid("the request is too large")
        try:
            head, _, text = content.decode().partition("\n\n")
            words, *lines = head.split("\n")
            if not words.startswith("old ") or len(lines) > MAX_PROOF_LINES:
                raise RequestInvalid("a request begins with the old size and has at most 63 lines of proof")
            note = SignedNote.parse(text)
            old, path = decode_size(words.removeprefix("old ")), tuple(map(_hash, lines))
            return cls(old, path, note, Checkpoint.parse(note.body))
        except UnicodeDecodeError:
            raise RequestInvalid("the request is not UTF-8") from None
        except NoteInvalid as error:
            raise RequestInvalid(str(error)) from None


@dataclass(frozen=True, slots=True)
class Seen:
    """The tree of a log that a witness cosigned last."""

    size: int
    root: bytes


NOTHING = Seen(0, EMPTY_ROOT)
"""Of a log that was never cosigned."""


@dataclass(frozen=True, slots=True)
class NotCosigned:
    """Why a checkpoint is not cosigned; ``size``: of the tree that was cosigned last, for ``other_size``."""

    reason: Reason
    size: int = 0


def write_request(old: int, path: Sequence[bytes], note: str) -> bytes:
    """The body of a request: the inverse of :meth:`AddCheckpoint.parse`."""
    lines = "".join(f"{b64encode(one).decode()}\n" for one in path)
    return f"old {old}\n{lines}\n{note}".encode()


def refusal_of_sender(request: AddCheckpoint, logs: TrustedLogs) -> NotCosigned | None:
    """Whether the log is known and has signed: what can be judged without knowing what was cosigned before."""
    keys = logs.get(request.checkpoint.origin)
    if not keys:
        return NotCosigned("unknown_log")
    try:
        signed = sum(_signatures(request.note, key) for key in keys)
    except NoteInvalid:
        return NotCosigned("not_signed")
    if not signed:
        return NotCosigned("not_signed")
    return NotCosigned("malformed") if request.old > request.checkpoint.size else None


def refusal_of_tree(request: AddCheckpoint, seen: Seen) -> NotCosigned | None:
    """Whether the tree goes on from the one that was cosigned last."""
    checkpoint = request.checkpoint
    if request.old != seen.size:
        return NotCosigned("other_size", seen.size)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return NotCosigned("inconsistent")
    if request.old == 0:
        # The empty tree is a prefix of every tree: there is nothing to prove.
        return NotCosigned("inconsistent") if request.path else None
    try:
        verify_consistency(
            size1=seen.size, root1=seen.root, size2=checkpoint.size, root2=checkpoint.root, path=request.path
        )
    except ProofInvalid:
        return NotCosigned("inconsistent")
    return None


def _signatures(note: SignedNote, key: NoteVerifier) -> int:
    """How often the key signed, at most once. Raises ``NoteInvalid`` for a line of its that does not verify."""
    lines = note.by(key)
    if len(lines) > 1:
        raise NoteInvalid("signed twice by one key")
    for line in lines:
        key.check(line.raw, note.body.encode())
    return len(lines)


def _hash(line: str) -> bytes:
    decoded = decode_base64(line)
    if len(decoded) != HASH_BYTES:
        raise NoteInvalid(f"a hash has {HASH_BYTES} bytes")
    return decoded
