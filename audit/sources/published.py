"""A log read from its files, wherever these are: in a folder or behind a web server. Pure, given how files are read.

What is not there, or not what it should be, is a finding or is left out, and said; never an error.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from audit.checkpoint import MAX_NOTE_BYTES, NoteInvalid, NoteVerifier
from audit.layout import WIDTH, TilePath
from audit.merkle import HASH_BYTES
from audit.sources.bundles import PartReader
from audit.sources.files import CHECKPOINTS, ERASED, VERIFIER_KEY, FileInvalid, records_of
from audit.sources.port import Opening, Part, StoredNote, StoredTile
from audit.verifier import Finding

MAX_LIST_BYTES = 2**30
"""Of the checkpoints or of what was erased: some millions of lines."""
_MAX_KEY_BYTES = 1_000
NOTE_MEMBERS = {"note": str, "size": int}
_GONE = {"by": int, "index": int}


class Files(Protocol):
    """Reads files by their path in the layout. Raises ``SourceUnavailable`` for what is there and cannot be read."""

    def read(self, path: str, limit: int) -> bytes | None:
        """A file of at most ``limit`` bytes; ``None`` when it is not there."""
        ...

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Files by their paths, each with its limit."""
        ...

    def newest(self, *, cosigned: bool) -> bytes | None:
        """The newest checkpoint; ``cosigned``: rather the newest that a witness signed."""
        ...

    def notes(self) -> bytes | None:
        """The lines of ``checkpoints.jsonl``."""
        ...

    def extent(self, size: int) -> tuple[int, bool, bool]:
        """The entry from which on the log is there; whether there are bundles of entries; of details."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class PublishedReader:
    """A reader of :mod:`audit.sources.port`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._findings: list[Finding] = []
        self._unchecked: list[str] = []

    def opening(self, key: NoteVerifier, *, cosigned: bool) -> Opening:
        """The checkpoint, the earlier ones, what was erased."""
        self._check_key(key)
        notes = self._notes()
        note, size = self._newest(key, notes, cosigned=cosigned)
        first, entries, details = self._files.extent(size) if size else (0, False, False)
        erased = self._erased() if details else None
        self._say(size, first, entries=entries, details=details)
        for one in notes:
            if one.size > size and size:
                self._find(f"checkpoint {one.size}", f"the log has only {size} entries")
        return Opening(
            size,
            note,
            first,
            entries,
            details,
            notes=[one for one in notes if one.size <= size],
            erased=erased,
            findings=self._findings,
            unchecked=self._unchecked,
        )

    def part(self, first: int, end: int, *, entries: bool, details: bool) -> Part:
        """Bundles, details and tiles of some entries."""
        return PartReader(self._files.read_all, first, end).part(entries=entries, details=details)

    def tile(self, level: int, number: int, width: int) -> StoredTile | None:
        """A tile; of one that is not full, the beginning of the full one where that has taken its place."""
        for path in (TilePath(level, number, width), TilePath(level, number)):
            content = self._files.read(str(path), WIDTH * HASH_BYTES)
            if content is not None:
                return StoredTile(content[: width * HASH_BYTES] if path.width != width else content)
        return None

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()

    def _find(self, place: str, problem: str) -> None:
        self._findings.append(Finding(place, problem))

    def _check_key(self, key: NoteVerifier) -> None:
        content = self._files.read(VERIFIER_KEY, _MAX_KEY_BYTES)
        if content is None:
            return
        try:
            if content == f"{content.decode().rstrip()}\n".encode():
                there = NoteVerifier(content.decode().rstrip())
                if (there.name, there.key_id) == (key.name, key.key_id):
                    return
        except (ValueError, NoteInvalid):
            pass
        self._find(VERIFIER_KEY, "it is not the key that was given")

    def _newest(self, key: NoteVerifier, notes: Iterable[StoredNote], *, cosigned: bool) -> tuple[str, int]:
        """The newest checkpoint and its size; the newest of the earlier ones when that one is not sound."""
        note = _text(self._files.newest(cosigned=cosigned))
        try:
            return note, key.open(note).size
        except NoteInvalid as error:
            self._find("checkpoint", str(error) if note else "it is missing")
        for one in sorted(notes, key=lambda one: -one.size):
            try:
                return one.text, key.open(one.text).size
            except NoteInvalid:
                continue
        self._unchecked.append("without a signed checkpoint nothing could be verified")
        return "", 0

    def _notes(self) -> list[StoredNote]:
        content = self._files.notes()
        if content is None:
            self._unchecked.append("the earlier checkpoints are not there: the newest alone was verified")
            return []
        return [StoredNote(one["size"], one["note"]) for one in self._records(CHECKPOINTS, content, NOTE_MEMBERS)]

    def _erased(self) -> dict[int, int] | None:
        content = self._files.read(ERASED, MAX_LIST_BYTES)
        if content is None:
            self._unchecked.append("which details were erased is not there: it was not held against what entries say")
            return None
        return {one["index"]: one["by"] for one in self._records(ERASED, content, _GONE)}

    def _records(self, name: str, content: bytes, members: Mapping[str, type]) -> list[dict[str, Any]]:
        try:
            return records_of(content, members)
        except FileInvalid as error:
            self._find(name, str(error))
            return []

    def _say(self, size: int, first: int, *, entries: bool, details: bool) -> None:
        if first:
            self._unchecked.append(f"entries before {first} are not there; their hashes are in the root")
        if size and not entries:
            self._unchecked.append(
                "entries were not read: the tree of their hashes was verified against the checkpoint"
            )
        elif size and not details:
            self._unchecked.append(
                "details are not there: what entries seal, and the order of accesses, was not checked"
            )


def _text(content: bytes | None) -> str:
    return "" if content is None else content[: MAX_NOTE_BYTES + 1].decode(errors="replace")
