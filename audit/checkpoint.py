"""Signed checkpoints: a C2SP tlog-checkpoint body in a C2SP signed-note, by the log's Ed25519 key. Pure."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from audit.note import (
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIZE,
    NoteInvalid,
    NoteKey,
    NotePublicKey,
    Signature,
    SignedNote,
    decode_base64,
    decode_size,
)

__all__ = ["MAX_NOTE_BYTES", "MAX_SIZE", "Checkpoint", "NoteInvalid", "NoteSigner", "NoteVerifier"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its name, its size in entries, its root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed (C2SP tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read a body. Raises :class:`NoteInvalid`. Extension lines are kept out."""
        lines = body.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):  # noqa: PLR2004  # three lines and their newlines
            raise NoteInvalid("a checkpoint has an origin, a size and a root, each on its line")
        origin, size, root = lines[:3]
        decoded = decode_base64(root)
        if len(decoded) != sha256().digest_size:
            raise NoteInvalid("the root of a checkpoint is a SHA-256 hash")
        return cls(origin, decode_size(size), decoded)


class NoteSigner(NoteKey):
    """The log's signing key. Its ``name`` is the log's origin."""

    kind = ED25519

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note."""
        body = checkpoint.body()
        signature = Signature(self.name, self.key_id, self._key.sign(body.encode()))
        return f"{body}\n{signature.line()}\n"

    def verifier(self) -> "NoteVerifier":
        """The public half."""
        return NoteVerifier(self.vkey)


class NoteVerifier(NotePublicKey):
    """The log's public key, by its C2SP vkey."""

    kind = ED25519

    def open(self, note: str) -> Checkpoint:
        """The checkpoint that the key signed. Raises :class:`NoteInvalid`.

        Signatures by other keys are passed over, as the specification says.
        """
        parsed = SignedNote.parse(note)
        ours = parsed.by(self)
        if len(ours) != 1:
            raise NoteInvalid("the note is not signed once by the log's key")
        self.check(ours[0].raw, parsed.body.encode())
        checkpoint = Checkpoint.parse(parsed.body)
        if checkpoint.origin != self.name:
            raise NoteInvalid("the checkpoint is of another log")
        return checkpoint
