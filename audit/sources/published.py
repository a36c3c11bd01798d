"""A log read from its files, wherever these are: in a folder or behind a web server. Pure, given how files are read.

What is not there, or not what it should be, is a finding or is left out, and said; never an error.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import IO, Protocol, TypeVar

from audit.checkpoint import MAX_NOTE_BYTES, NoteInvalid, NoteVerifier
from audit.layout import WIDTH, TilePath
from audit.merkle import HASH_BYTES
from audit.sources.bundles import PartReader
from audit.sources.files import CHECKPOINTS, ERASED, VERIFIER_KEY, FileInvalid
from audit.sources.lists import ListForm, OrderedList
from audit.sources.port import Opening, Part, StoredNote, StoredTile
from audit.verifier import Finding

_MAX_KEY_BYTES = 1_000
_MOST_TRIED = 1_000
"""Of the earlier checkpoints, where the newest is not sound."""
NOTE_MEMBERS = {"note": str, "size": int}
_NOTES = ListForm(CHECKPOINTS, NOTE_MEMBERS, "size", lambda record: StoredNote(record["size"], record["note"]))
_GONE = ListForm(ERASED, {"by": int, "index": int}, "index", lambda record: (record["index"], record["by"]))

T = TypeVar("T")


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

    def lines(self, path: str) -> IO[bytes] | None:
        """A list: ``checkpoints.jsonl`` or ``erased.jsonl``, to be read line by line; ``None`` when it is not there."""
        ...

    def extent(self, size: int) -> tuple[int, bool, bool]:
        """The entry from which on the log is there; whether there are bundles of entries; of details."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class PublishedReader:
    """A reader of :mod:`audit.sources.port`."""

    def __init__(self, files: Files, *, grows: bool = False) -> None:
        """``grows``: whether more is written there while it is read."""
        self._files = files
        self._grows = grows
        self._key: NoteVerifier | None = None
        self._findings: list[Finding] = []
        self._unchecked: list[str] = []
        self._open: list[IO[bytes]] = []

    def opening(self, key: NoteVerifier, *, cosigned: bool) -> Opening:
        """The checkpoint, the earlier ones, what was erased."""
        self._key = key
        self._check_key(key)
        notes = self._notes()
        note, size = self._newest(key, notes, cosigned=cosigned)
        first, entries, details = self._files.extent(size) if size else (0, False, False)
        erased = self._erased() if details else None
        self._say(size, first, entries=entries, details=details)
        return Opening(
            size,
            note,
            first,
            entries,
            details,
            grows=self._grows,
            notes=notes,
            erased=erased,
            findings=chain(self._findings, _beyond(notes, size)),
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

    def newest(self) -> int | None:
        """Of a place that grows; 0 where nothing that is signed is shown any more."""
        if self._key is None or not self._grows:
            return None
        try:
            return self._key.open(_text(self._files.newest(cosigned=False))).size
        except NoteInvalid:
            return 0

    def erased_by(self, first: int, end: int) -> int:
        """From the list as it is by now."""
        return sum(first <= by < end for _, by in self._erased())

    def close(self) -> None:
        """Let go of the files."""
        for file in self._open:
            file.close()
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
        """The newest checkpoint and its size; the newest of the earlier ones when that one is not sound.

        One of the newest: a list may have millions that are not.
        """
        note = _text(self._files.newest(cosigned=cosigned))
        try:
            return note, key.open(note).size
        except NoteInvalid as error:
            self._find("checkpoint", str(error) if note else "it is missing")
        for one in reversed(deque(notes, maxlen=_MOST_TRIED)):
            try:
                return one.text, key.open(one.text).size
            except NoteInvalid:
                continue
        self._unchecked.append("without a signed checkpoint nothing could be verified")
        return "", 0

    def _notes(self) -> OrderedList[StoredNote]:
        found = self._list(_NOTES)
        if found is None:
            self._unchecked.append("the earlier checkpoints are not there: the newest alone was verified")
            return OrderedList.empty(_NOTES)
        return found

    def _erased(self) -> OrderedList[tuple[int, int]]:
        """Without a list nothing says that a detail which is missing was erased."""
        return self._list(_GONE) or OrderedList.empty(_GONE)

    def _list(self, form: ListForm[T]) -> OrderedList[T] | None:
        """A list; empty when it is none, which is a finding; ``None`` when it is not there."""
        file = self._files.lines(form.name)
        if file is None:
            return None
        self._open.append(file)
        try:
            return OrderedList(form, file)
        except FileInvalid as error:
            self._find(form.name, str(error))
            return OrderedList.empty(form)

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


def _beyond(notes: OrderedList[StoredNote], size: int) -> Iterator[Finding]:
    """Checkpoints of more entries than the log has."""
    if notes.highest > size > 0:
        for one in notes:
            if one.size > size:
                yield Finding(f"checkpoint {one.size}", f"the log has only {size} entries")


def _text(content: bytes | None) -> str:
    return "" if content is None else content[: MAX_NOTE_BYTES + 1].decode(errors="replace")
