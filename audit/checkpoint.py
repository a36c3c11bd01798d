"""Signed checkpoints: C2SP signed-note with Ed25519 around a C2SP tlog-checkpoint body. Pure, apart from the key made.

A verifier key is ``name+hash+base64``, a signing key ``PRIVATE+KEY+name+hash+base64``, as the specification has them.
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

MAX_NOTE_BYTES = 65_536
MAX_SIZE = 2**63 - 1

_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_PRIVATE = "PRIVATE+KEY+"


class NoteInvalid(ValueError):
    """Not a note, not a checkpoint, or not signed by the key."""


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
        if not size.isascii() or not size.isdigit() or (size[0] == "0" and size != "0") or int(size) > MAX_SIZE:
            raise NoteInvalid("the size of a checkpoint is a decimal number")
        decoded = _decode(root)
        if len(decoded) != sha256().digest_size:
            raise NoteInvalid("the root of a checkpoint is a SHA-256 hash")
        return cls(origin, int(size), decoded)


class NoteSigner:
    """The log's signing key. Its ``name`` is the log's origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        _check_name(name)
        self.name = name
        self._key = key
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._id = _key_id(name, public)
        self.vkey = f"{name}+{self._id.hex()}+{b64encode(_ED25519 + public).decode()}"

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read :meth:`private_text`. Raises :class:`NoteInvalid` without repeating it."""
        if not text.startswith(_PRIVATE):
            raise NoteInvalid("not a signing key of a log")
        name, key_id, seed = _parts(text.removeprefix(_PRIVATE))
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer._id != key_id:  # a signer of this class
            raise NoteInvalid("the signing key does not have its own id")
        return signer

    def private_text(self) -> str:
        """The key as it is kept in a file."""
        seed = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return f"{_PRIVATE}{self.name}+{self._id.hex()}+{b64encode(_ED25519 + seed).decode()}"

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note."""
        body = checkpoint.body()
        signature = b64encode(self._id + self._key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {self.name} {signature}\n"

    def verifier(self) -> "NoteVerifier":
        """The public half."""
        return NoteVerifier(self.vkey)

    def __repr__(self) -> str:
        return f"NoteSigner({self.name})"


class NoteVerifier:
    """The log's public key, by its C2SP vkey."""

    def __init__(self, vkey: str) -> None:
        """Raises :class:`NoteInvalid` when ``vkey`` is not one."""
        self.name, self._id, public = _parts(vkey)
        if _key_id(self.name, public) != self._id:
            raise NoteInvalid("the verifier key does not have its own id")
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def open(self, note: str) -> Checkpoint:
        """The checkpoint that the key signed. Raises :class:`NoteInvalid`.

        Signatures by other keys are passed over, as the specification says.
        """
        if len(note) > MAX_NOTE_BYTES:
            raise NoteInvalid("the note is too large")
        body, gap, signatures = note.rpartition("\n\n")
        if not gap or not signatures.endswith("\n"):
            raise NoteInvalid("not a signed note")
        body += "\n"
        ours = [one for one in map(_signature, signatures[:-1].split("\n")) if one[:2] == (self.name, self._id)]
        if len(ours) != 1:
            raise NoteInvalid("the note is not signed once by the log's key")
        try:
            self._key.verify(ours[0][2], body.encode())
        except InvalidSignature:
            raise NoteInvalid("the signature of the note is wrong") from None
        checkpoint = Checkpoint.parse(body)
        if checkpoint.origin != self.name:
            raise NoteInvalid("the checkpoint is of another log")
        return checkpoint


def _signature(line: str) -> tuple[str, bytes, bytes]:
    words = line.split(" ")
    if len(words) != 3 or words[0] != "\u2014" or not words[1]:  # noqa: PLR2004  # dash, name, signature
        raise NoteInvalid("a signature line of the note is malformed")
    raw = _decode(words[2])
    if len(raw) <= _ID_BYTES:
        raise NoteInvalid("a signature of the note is too short")
    return words[1], raw[:_ID_BYTES], raw[_ID_BYTES:]


def _parts(text: str) -> tuple[str, bytes, bytes]:
    """``name+id+base64(type || key)`` -> name, id, key."""
    words = text.split("+", 2)
    if len(words) != 3:  # noqa: PLR2004  # as above
        raise NoteInvalid("a key of a log is name+id+base64")
    name, key_id, encoded = words
    _check_name(name)
    raw = _decode(encoded)
    if raw[:1] != _ED25519 or len(raw) != 1 + _KEY_BYTES:
        raise NoteInvalid("not an Ed25519 key")
    try:
        return name, bytes.fromhex(key_id), raw[1:]
    except ValueError:
        raise NoteInvalid("the id of the key is not hexadecimal") from None


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_ID_BYTES]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteInvalid("the name of a log has neither spaces nor plus signs")


def _decode(text: str) -> bytes:
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("not base64") from None
    if b64encode(decoded).decode() != text:
        raise NoteInvalid("not the one base64 of its bytes")
    return decoded
