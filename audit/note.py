"""C2SP signed-note: a text, the lines that sign it, the Ed25519 keys they are by. Pure, apart from keys made.

A verifier key is ``name+id+base64(type || key)``, a signing key ``PRIVATE+KEY+name+id+base64(type || seed)``. The type
says what is signed and is part of the id: one key signs one kind of message.
"""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

MAX_NOTE_BYTES = 65_536
MAX_SIZE = 2**63 - 1
ED25519 = b"\x01"
COSIGNATURE = b"\x04"

_KEY_BYTES = 32
_ID_BYTES = 4
_PRIVATE = "PRIVATE+KEY+"
# Of ASCII control characters a note has newlines alone; what is not UTF-8 is no note.
_UNFIT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")

_P = 2**255 - 19
# Curve25519's points of small order by their y: under such a key anybody makes a signature that verifies.
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)


class NoteInvalid(ValueError):
    """Not a note, not a key, not what it should hold, or not signed by the key."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: whose, and the bytes that its type gives a meaning."""

    name: str
    key_id: bytes
    raw: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line without its newline. Raises :class:`NoteInvalid`."""
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014" or not words[1]:  # noqa: PLR2004  # dash, name, signature
            raise NoteInvalid("a signature line of the note is malformed")
        raw = decode_base64(words[2])
        if len(raw) <= _ID_BYTES:
            raise NoteInvalid("a signature of the note is too short")
        return cls(words[1], raw[:_ID_BYTES], raw[_ID_BYTES:])

    def line(self) -> str:
        """The line, without a newline."""
        return f"\u2014 {self.name} {b64encode(self.key_id + self.raw).decode()}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note taken apart; nothing is verified yet. ``body`` ends with its newline."""

    body: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note. Raises :class:`NoteInvalid`."""
        if len(text) > MAX_NOTE_BYTES:
            raise NoteInvalid("the note is too large")
        body, gap, signatures = text.rpartition("\n\n")
        if not gap or not signatures.endswith("\n"):
            raise NoteInvalid("not a signed note")
        if _UNFIT.search(text):
            raise NoteInvalid("the note has a character that no note has")
        return cls(body + "\n", tuple(map(Signature.parse, signatures[:-1].split("\n"))))

    def by(self, key: "NoteKey | NotePublicKey") -> list[Signature]:
        """The lines that say they are by the key."""
        return [one for one in self.signatures if (one.name, one.key_id) == (key.name, key.key_id)]


class NoteKey:
    """A named signing key of one type."""

    kind: ClassVar[bytes]

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Raises :class:`NoteInvalid` for a name that no note can have."""
        check_name(name)
        self.name = name
        self._key = key
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = _key_id(name, self.kind + public)
        self.vkey = f"{name}+{self.key_id.hex()}+{b64encode(self.kind + public).decode()}"

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read :meth:`private_text`. Raises :class:`NoteInvalid` without repeating it."""
        if not text.startswith(_PRIVATE):
            raise NoteInvalid("not a signing key of a log")
        name, key_id, seed = _parts(text.removeprefix(_PRIVATE), cls.kind)
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.key_id != key_id:
            raise NoteInvalid("the signing key does not have its own id")
        return signer

    def private_text(self) -> str:
        """The key as it is kept in a file."""
        seed = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return f"{_PRIVATE}{self.name}+{self.key_id.hex()}+{b64encode(self.kind + seed).decode()}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class NotePublicKey:
    """A named verifying key of one type, by its C2SP vkey."""

    kind: ClassVar[bytes]

    def __init__(self, vkey: str) -> None:
        """Raises :class:`NoteInvalid` when ``vkey`` is not one of this type, or is of a key that anybody can use."""
        self.name, self.key_id, public = _parts(vkey, self.kind)
        if _key_id(self.name, self.kind + public) != self.key_id:
            raise NoteInvalid("the verifier key does not have its own id")
        y = int.from_bytes(public, "little") & (2**255 - 1)
        if y >= _P or y in _SMALL_ORDER:
            raise NoteInvalid("the verifier key is not fit for signatures")
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def check(self, signature: bytes, message: bytes) -> None:
        """Raises :class:`NoteInvalid` unless the key signed the message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise NoteInvalid("the signature of the note is wrong") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


def decode_base64(text: str) -> bytes:
    """The bytes that ``text`` is the one base64 of. Raises :class:`NoteInvalid`."""
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("not base64") from None
    if b64encode(decoded).decode() != text:
        raise NoteInvalid("not the one base64 of its bytes")
    return decoded


def decode_size(text: str) -> int:
    """A size as its one decimal writing, at most 2^63 - 1. Raises :class:`NoteInvalid`."""
    short = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SIZE))
    if not short or (text[0] == "0" and text != "0") or int(text) > MAX_SIZE:
        raise NoteInvalid("the size of a tree is a decimal number")
    return int(text)


def check_name(name: str) -> None:
    """Raises :class:`NoteInvalid` for a name that no key has."""
    if not name or "+" in name or any(character.isspace() for character in name) or _UNFIT.search(name):
        raise NoteInvalid("the name of a log has neither spaces nor plus signs")


def _parts(text: str, kind: bytes) -> tuple[str, bytes, bytes]:
    """``name+id+base64(type || key)`` -> name, id, key."""
    words = text.split("+", 2)
    if len(words) != 3:  # noqa: PLR2004  # as above
        raise NoteInvalid("a key of a log is name+id+base64")
    name, key_id, encoded = words
    check_name(name)
    raw = decode_base64(encoded)
    if raw[:1] != kind or len(raw) != 1 + _KEY_BYTES:
        raise NoteInvalid("not an Ed25519 key of the type that is needed here")
    try:
        return name, bytes.fromhex(key_id), raw[1:]
    except ValueError:
        raise NoteInvalid("the id of the key is not hexadecimal") from None


def _key_id(name: str, material: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + material).digest()[:_ID_BYTES]
