"""Verifying the log from public bytes alone: whoever runs Accord is not trusted here.

Imports the standard library, ``cryptography`` and this package's pure files, so that an auditor can read all of it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from audit.checkpoint import Checkpoint, NoteInvalid, NoteVerifier
from audit.merkle import Frontier, ProofInvalid, leaf_hash
from audit.proof import TlogProof

MAX_PROOF_FILE_BYTES = 1_000_000
MAX_FINDINGS = 100

_ENDS = ("grant.withdrawn", "grant.expired")
_KINDS = frozenset(
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
        "retention.applied",
        "archive.made",
        *_ENDS,
    }
)
_REQUIRED = {"v": int, "kind": str, "time": str, "request_id": str, "outcome": str, "sealed": str}


class VerificationFailed(ValueError):
    """What was shown does not prove what it claims; the message says which check failed."""


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry that is in the log, with its detail."""

    index: int
    entry: Mapping[str, object]
    detail: Mapping[str, object]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """One entry of the whole log; ``salt`` and ``detail`` are ``None`` once erased."""

    index: int
    leaf: bytes
    salt: bytes | None
    detail: bytes | None


@dataclass(slots=True)
class Verdict:
    """What a replay found. ``root`` and ``size`` are those of the entries themselves."""

    size: int = 0
    root: bytes = b""
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.findings


def verify_proof_file(content: bytes, vkey: str) -> ProvenEntry:
    """Check a file ``{"entry", "salt", "detail", "proof"}`` against the log's key.

    The entry's bytes must be in the tree that the checkpoint signs, and the detail must be what the entry seals.
    Raises :class:`VerificationFailed` and nothing else.
    """
    entry, salt, detail, proof = _proof_file(content)
    try:
        parsed = TlogProof.parse(proof)
        checkpoint = parsed.verify(leaf_hash(entry), NoteVerifier(vkey))
    except (ProofInvalid, NoteInvalid) as error:
        raise VerificationFailed(str(error)) from None
    skeleton = _object(entry, "the entry")
    _check_seal(skeleton, salt, detail)
    return ProvenEntry(parsed.index, skeleton, _object(detail, "the detail"), checkpoint)


class Replay:
    """The whole log, entry after entry. Feed :meth:`entry` in order, then ask :meth:`verdict`."""

    def __init__(self, notes: Iterable[tuple[int, str]], vkey: str) -> None:
        """``notes``: every signed checkpoint by the size it claims."""
        self._verifier = NoteVerifier(vkey)
        self._notes = dict(notes)
        self._frontier = Frontier()
        self._findings: list[str] = []
        self._closed: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        self._erased: set[int] = set()
        self._keyed: set[tuple[bool, str]] = set()

    def entry(self, stored: StoredLeaf) -> None:
        """Take the next entry in."""
        if stored.index != self._frontier.size:
            self._find(f"entry {self._frontier.size} is missing: found {stored.index} in its place")
        self._frontier.push(leaf_hash(stored.leaf))
        self._check_entry(stored)
        if (note := self._notes.pop(self._frontier.size, None)) is not None:
            self._check_checkpoint(note)

    def verdict(self, *, head: tuple[int, bytes, bytes]) -> Verdict:
        """``head``: size, frontier and root as the log keeps them."""
        size, root = self._frontier.size, self._frontier.root
        for claimed in sorted(self._notes):
            self._find(f"checkpoint {claimed}: the log has only {size} entries")
        if head != (size, self._frontier.hashes, root):
            self._find(f"head: it is not that of the log's {size} entries")
        for closes, told in ((True, self._closed), (False, self._spent)):
            for name, index in told.items():
                if (closes, name) not in self._keyed:
                    self._find(f"entry {index}: the key that it {'closed' if closes else 'spent'} is not kept")
        return Verdict(size, root, self._findings)

    def key(self, name: str, index: int, *, closes: bool) -> None:
        """Check a spent or closed key, as the commit keeps it, against what the entries say."""
        told = self._closed if closes else self._spent
        self._keyed.add((closes, name))
        if told.get(name) != index and index not in self._erased:
            self._find(f"key at entry {index}: the entry does not say that it was {'closed' if closes else 'spent'}")

    def _check_entry(self, stored: StoredLeaf) -> None:
        try:
            skeleton = _object(stored.leaf, "the entry")
            _check_skeleton(skeleton, stored.leaf)
            if stored.detail is None or stored.salt is None:
                self._erased.add(stored.index)
                return
            _check_seal(skeleton, stored.salt, stored.detail)
            self._check_order(stored.index, skeleton, _object(stored.detail, "the detail"))
        except VerificationFailed as failed:
            self._find(f"entry {stored.index}: {failed}")

    def _check_order(self, index: int, skeleton: Mapping[str, object], detail: Mapping[str, object]) -> None:
        self._check_spent(index, str(detail.get("spent", "")).split())
        grant_id = detail.get("grant_id")
        if not isinstance(grant_id, str) or skeleton["outcome"] != "ok":
            return
        grant = f"grant:{grant_id}"
        if skeleton["kind"] in _ENDS:
            self._closed.setdefault(grant, index)
        elif skeleton["kind"] == "access":
            if grant in self._closed:
                raise VerificationFailed(f"an access after its authorisation was ended by {self._closed[grant]}")
            if detail.get("access") == "once" and not str(detail.get("spent", "")):
                raise VerificationFailed("an access of a single use that was not used up")

    def _check_spent(self, index: int, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self._spent:
                raise VerificationFailed(f"a second use of what was used up by {self._spent[key]}")
            self._spent[key] = index

    def _check_checkpoint(self, note: str) -> None:
        size = self._frontier.size
        try:
            checkpoint = self._verifier.open(note)
        except NoteInvalid as error:
            self._find(f"checkpoint {size}: {error}")
            return
        if (checkpoint.size, checkpoint.root) != (size, self._frontier.root):
            self._find(f"checkpoint {size}: the entries lead to another root")

    def _find(self, finding: str) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(finding)


def check_tile(level: int, tile: int, hashes: bytes, expected: bytes) -> str | None:
    """A finding when a stored tile is not what the entries make of it."""
    return None if hashes == expected else f"tile {level}/{tile}: its hashes are not those of the entries"


def _check_skeleton(skeleton: Mapping[str, object], leaf: bytes) -> None:
    for name, kind in _REQUIRED.items():
        if type(skeleton.get(name)) is not kind:
            raise VerificationFailed(f"{name!r} is missing or has the wrong form")
    if skeleton["kind"] not in _KINDS:
        raise VerificationFailed("its kind is unknown")
    if json.dumps(skeleton, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() != leaf:
        raise VerificationFailed("it is not canonical JSON")


def _check_seal(skeleton: Mapping[str, object], salt: bytes, detail: bytes) -> None:
    if skeleton.get("sealed") != sha256(salt + detail).hexdigest():
        raise VerificationFailed("the detail is not the one that the entry seals")


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
