"""C2SP tlog-proof: an inclusion proof and the signed checkpoint it leads to, as one text. Pure."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from audit.checkpoint import Checkpoint, NoteInvalid, NoteVerifier
from audit.merkle import HASH_BYTES, ProofInvalid
from audit.verification import verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 65_536
_MAX_HASHES = 64


@dataclass(frozen=True, slots=True)
class TlogProof:
    """The parts of a proof; ``note`` is the signed checkpoint."""

    index: int
    path: tuple[bytes, ...]
    note: str

    def verify(self, leaf: bytes, verifier: NoteVerifier) -> Checkpoint:
        """Check that the leaf hash is in the log that the key signed. Raises ``ProofInvalid`` or ``NoteInvalid``."""
        checkpoint = verifier.open(self.note)
        verify_inclusion(leaf=leaf, index=self.index, size=checkpoint.size, path=self.path, root=checkpoint.root)
        return checkpoint

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a proof. Raises ``ProofInvalid``."""
        head, gap, note = text.partition("\n\n")
        lines = head.split("\n")
        if len(text) > MAX_PROOF_BYTES or not gap or lines[0] != HEADER:
            raise ProofInvalid(f"not a {HEADER}")
        if len(lines) > 1 and lines[1].startswith("extra "):
            del lines[1]
        if len(lines) < 2 or not lines[1].startswith("index "):  # noqa: PLR2004  # the header and the index
            raise ProofInvalid("the proof has no index")
        number = lines[1].removeprefix("index ")
        if not number.isascii() or not number.isdigit() or (number[0] == "0" and number != "0") or len(number) > 19:  # noqa: PLR2004  # 2**63
            raise ProofInvalid("the index of the proof is not a number")
        if len(lines) - 2 > _MAX_HASHES:
            raise ProofInvalid("the proof is too long")
        return cls(int(number), tuple(_hash(line) for line in lines[2:]), note)


def write_proof(index: int, path: Sequence[bytes], note: str) -> str:
    """The text of a proof."""
    return write_proofs(index, [path], (), note)[0]


def write_proofs(first: int, beginnings: Iterable[Sequence[bytes]], end: Sequence[bytes], note: str) -> list[str]:
    """The texts of the proofs of leaves that follow one another, whose paths end alike. On the data path: no checks."""
    common = f"{_lines(end)}\n{note}"
    return [f"{HEADER}\nindex {index}\n{_lines(path)}{common}" for index, path in enumerate(beginnings, first)]


def _lines(path: Sequence[bytes]) -> str:
    # b2a_base64 ends each line itself.
    return b"".join([binascii.b2a_base64(one) for one in path]).decode("ascii")


def _hash(line: str) -> bytes:
    try:
        decoded = b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise ProofInvalid("a hash of the proof is not base64") from None
    if len(decoded) != HASH_BYTES:
        raise ProofInvalid(f"a hash of the proof has not {HASH_BYTES} bytes")
    return decoded


__all__ = ["HEADER", "NoteInvalid", "ProofInvalid", "TlogProof", "write_proof", "write_proofs"]
