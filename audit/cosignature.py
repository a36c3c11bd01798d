"""A witness's signature of a checkpoint: cosignature/v1 by Ed25519 (C2SP tlog-cosignature). Pure.

It says: at this time, the largest tree of this log that I saw, each one a prefix of the next, has this root.
"""

from audit.note import COSIGNATURE, MAX_SIZE, NoteInvalid, NoteKey, NotePublicKey, Signature, SignedNote

_TIME_BYTES = 8
_SIGNATURE_BYTES = 64


class Cosigner(NoteKey):
    """A witness's signing key."""

    kind = COSIGNATURE

    def sign(self, body: str, *, now: int) -> str:
        """The signature line, without its newline, of a checkpoint's body. ``now``: Unix seconds, from 1 on."""
        if not 0 < now <= MAX_SIZE:
            raise ValueError("a cosignature says when it was made")
        raw = now.to_bytes(_TIME_BYTES, "big") + self._key.sign(_message(body, now))
        return Signature(self.name, self.key_id, raw).line()

    def verifier(self) -> "CosignatureVerifier":
        """The public half."""
        return CosignatureVerifier(self.vkey)


class CosignatureVerifier(NotePublicKey):
    """A witness's public key, by its C2SP vkey."""

    kind = COSIGNATURE

    def verify(self, body: str, line: str) -> int:
        """When the witness cosigned this body by this line, in Unix seconds. Raises :class:`NoteInvalid`."""
        return self._verify(body, Signature.parse(line))

    def find(self, note: str) -> tuple[str, int]:
        """The witness's line in a signed note, and when it was made. Raises :class:`NoteInvalid`.

        Lines by other keys are passed over. The log's own signature is not looked at.
        """
        parsed = SignedNote.parse(note)
        ours = parsed.by(self)
        if len(ours) != 1:
            raise NoteInvalid("the note is not cosigned once by the witness")
        return ours[0].line(), self._verify(parsed.body, ours[0])

    def _verify(self, body: str, signature: Signature) -> int:
        if (signature.name, signature.key_id) != (self.name, self.key_id):
            raise NoteInvalid("the cosignature is by another key")
        if len(signature.raw) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise NoteInvalid("a cosignature is a time and an Ed25519 signature")
        made = int.from_bytes(signature.raw[:_TIME_BYTES], "big")
        if not 0 < made <= MAX_SIZE:
            raise NoteInvalid("the cosignature does not say when it was made")
        self.check(signature.raw[_TIME_BYTES:], _message(body, made))
        return made


def _message(body: str, made: int) -> bytes:
    try:
        return f"cosignature/v1\ntime {made}\n{body}".encode()
    except UnicodeEncodeError:
        raise NoteInvalid("the body is not UTF-8") from None
