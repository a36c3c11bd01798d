"""What the verification says, and one entry verified from its proof: whoever runs Accord is not trusted here.

Imports the standard library, ``cryptography`` and this package's pure files, so that an auditor can read all of it.
:mod:`audit.replay` verifies the whole log.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from audit.checkpoint import Checkpoint, NoteInvalid, NoteVerifier
from audit.merkle import ProofInvalid, leaf_hash
from audit.proof import TlogProof

MAX_PROOF_FILE_BYTES = 1_000_000
MAX_FINDINGS = 100
MOST_OF_A_COMMIT = 4_096
"""Entries between two checkpoints, of which every commit signs one: a writer commits far fewer at once."""

ENDS = ("grant.withdrawn", "grant.expired")
"""Kinds of the entries after which a grant permits nothing."""
ERASES = "retention.applied"
"""The kind of the entries that say that details were erased."""
UNTIED = -2
"""In the table of spent keys, instead of an entry's index: that entry was erased, and its key must stay spent.

Not -1, which is what a value that is no number is read as.
"""
KINDS = frozenset(
    {
        "access",
        "refusal",
        "failure",
        "grant.given",
        "grant.refused",
        "grant.suspended",
        "grant.resumed",
        "keys.rotated",
        "audit.query",
        "archive.made",
        ERASES,
        *ENDS,
    }
)


class VerificationFailed(ValueError):
    """What was shown does not prove what it claims; the message says which check failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and where: ``entry 12``, ``tile 0/3``, ``checkpoint 900``, ``head``."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


def list_some(findings: Iterable[Finding], listed: list[Finding]) -> int:
    """Add findings to those that are listed; how many were only counted, beyond ``MAX_FINDINGS`` of them."""
    more = 0
    for finding in findings:
        if len(listed) < MAX_FINDINGS:
            listed.append(finding)
        else:
            more += 1
    return more


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry that is in the log. ``detail`` is empty where only the entry was shown."""

    index: int
    entry: Mapping[str, object]
    detail: Mapping[str, object]
    checkpoint: Checkpoint


@dataclass(slots=True)
class Verdict:
    """What a verification found. ``root`` and ``size`` are those of the log that was read.

    ``first``: entries before it were not read. ``more``: findings besides those listed. ``checked``: how many of what;
    ``unchecked``: what could not be, each a sentence. ``seconds``: how long it took.
    """

    size: int = 0
    root: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    first: int = 0
    more: int = 0
    checkpoint: str = ""
    checked: Counter[str] = field(default_factory=Counter)
    unchecked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything that was checked agrees."""
        return not self.findings

    def add(self, findings: Iterable[Finding]) -> None:
        """Take findings in."""
        self.more += list_some(findings, self.findings)

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if not self.ok:
            count = len(self.findings) + self.more
            return f"The log does not verify: {count} {'finding' if count == 1 else 'findings'}."
        since = f", from entry {self.first}" if self.first else ""
        return f"The log verifies: {self.size} entries{since}, root {self.root.hex()}."

    def as_json(self) -> dict[str, object]:
        """The verdict for a machine."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root.hex(),
            "first": self.first,
            "checkpoint": self.checkpoint,
            "findings": [{"place": one.place, "problem": one.problem} for one in self.findings],
            "more_findings": self.more,
            "checked": dict(sorted(self.checked.items())),
            "unchecked": self.unchecked,
            "seconds": round(self.seconds, 3),
        }


def verify_proof_file(content: bytes, vkey: str) -> ProvenEntry:
    """Check a file ``{"entry", "salt", "detail", "proof"}`` against the log's key.

    The entry's bytes must be in the tree that the checkpoint signs, and the detail must be what the entry seals.
    Raises :class:`VerificationFailed` and nothing else.
    """
    entry, salt, detail, proof = _proof_file(content)
    proven = verify_receipt(proof, entry, vkey)
    if proven.entry.get("sealed") != sha256(salt + detail).hexdigest():
        raise VerificationFailed("the detail is not the one that the entry seals")
    return ProvenEntry(proven.index, proven.entry, _object(detail, "the detail"), proven.checkpoint)


def verify_receipt(proof: str, entry: bytes, vkey: str) -> ProvenEntry:
    """Check a receipt (C2SP tlog-proof) of an entry's bytes. Raises :class:`VerificationFailed` and nothing else."""
    try:
        parsed = TlogProof.parse(proof)
        checkpoint = parsed.verify(leaf_hash(entry), NoteVerifier(vkey))
    except (ProofInvalid, NoteInvalid) as error:
        raise VerificationFailed(str(error)) from None
    return ProvenEntry(parsed.index, _object(entry, "the entry"), {}, checkpoint)


def _proof_file(content: bytes) -> tuple[bytes, bytes, bytes, str]:
    if len(content) > MAX_PROOF_FILE_BYTES:
        raise VerificationFailed("the file is too large")
    file = _object(content, "the file")
    parts = [file.get(name) for name in ("entry", "salt", "detail", "proof")]
    if not all(isinstance(part, str) for part in parts):
        raise VerificationFailed("the file has no entry, salt, detail and proof")
    entry, salt, detail, proof = (str(part) for part in parts)
    try:
        return entry.encode(), bytes.fromhex(salt), detail.encode(), proof
    except ValueError:
        raise VerificationFailed("the salt is not hexadecimal") from None


def _object(content: bytes, name: str) -> Mapping[str, object]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise VerificationFailed(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise VerificationFailed(f"{name} is not a JSON object")
    return value
