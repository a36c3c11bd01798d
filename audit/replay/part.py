"""Some entries looked at: everything that can be checked without those before them. Pure; runs in its own process."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import count

from audit.blocks import BLOCK, Item
from audit.checkpoint import NoteVerifier
from audit.cosignature import CosignatureVerifier
from audit.layout import WIDTH
from audit.merkle import HASH_BYTES, leaf_hash, root_of
from audit.note import NoteInvalid, Signature, SignedNote
from audit.replay.canonical import Canonical, Parsed
from audit.replay.entries import Told, wrong_form
from audit.replay.hashes import fold, rows_above, split, subtrees
from audit.replay.index import BlockCheck
from audit.replay.report import Claim, Report, Rules, Run
from audit.sources.port import Opened, Part, StoredCosignature, StoredNote, StoredTile
from audit.verifier import ERASES

_UNKNOWN = bytes(HASH_BYTES)
"""Stands for the hash of an entry that is not there, which a finding says."""


class Checker:
    """One process's: what it verifies against, ready for use."""

    def __init__(self, rules: Rules) -> None:
        """Raises ``NoteInvalid`` for a key that is none."""
        self.key = NoteVerifier(rules.vkey)
        self.witnesses = {one.name: one for one in map(CosignatureVerifier, rules.witnesses)}
        self.canonical = Canonical(rules.token)
        self.prefix = rules.prefix

    def check(self, part: Part, *, marks: Sequence[int] = ()) -> Report:
        """The report on a part. ``marks``: sizes whose ragged end is wanted."""
        return _PartCheck(self, part, marks).report()


class _PartCheck:
    def __init__(self, checker: Checker, part: Part, marks: Sequence[int]) -> None:
        self._checker = checker
        self._part = part
        self._marks = marks
        self._report = Report(part.first, part.end, findings=list(part.findings))
        self._told = Told(checker.prefix)

    def report(self) -> Report:
        """1. hashes, 2. checkpoints, 3. cosignatures, 4. what was erased, 5. entries and details, 6. the index."""
        # 1. and 2.
        self._check_tiles()
        # 3.
        self._check_cosignatures()
        # 4.
        self._check_erased()
        # 5. and 6.
        if self._part.leaves is not None:
            self._check_entries(self._part.leaves)
        told, report = self._told, self._report
        report.spent, report.closed, report.accessed = told.spent.heaps(), told.closed.heaps(), told.accessed.heaps()
        return report

    def _check_tiles(self) -> None:
        part, report = self._part, self._report
        claims = self._claims()
        wanted: dict[int, set[int]] = {}
        for size in (*(size for size, _ in claims), *self._marks):
            wanted.setdefault(size // WIDTH, set()).add(size)
        for number in range(part.first // WIDTH, -(-part.end // WIDTH)):
            rows = rows_above(self._hashes(number))
            if len(rows[0]) == WIDTH:
                report.roots.append(rows[-1][0])
                self._check_above(number, rows[-1][0])
            else:
                report.tail = rows[0]
            for size in wanted.get(number, ()):
                report.ragged[size] = fold(subtrees(rows, size % WIDTH))
        report.claims = [Claim(size, root, report.ragged.get(size, b"")) for size, root in sorted(claims)]
        report.checked["tiles"] += len(part.tiles)

    def _hashes(self, number: int) -> list[bytes]:
        """The leaf hashes of a tile: those of the entries, unless its own prove that entries were changed."""
        stored, leaves = self._part.tiles.get(number), self._part.leaves
        first = number * WIDTH
        width = min(WIDTH, self._part.end - first)
        kept = [] if stored is None else split(stored.hashes)
        if leaves is None:
            return kept if _well_formed(kept, width) else [_UNKNOWN] * width
        at = first - self._part.first
        made = [None if leaf is None else leaf_hash(leaf) for leaf in leaves[at : at + width]]
        if stored is not None and kept != made:
            return self._disputed(number, made, kept, stored)
        return [_UNKNOWN if one is None else one for one in made]

    def _disputed(
        self, number: int, made: Sequence[bytes | None], kept: list[bytes], stored: StoredTile
    ) -> list[bytes]:
        if not _well_formed(kept, len(made)):
            self._report.find(f"tile 0/{number}", "it is not as many hashes as it should be")
            return [one or _UNKNOWN for one in made]
        first = number * WIDTH
        differing = [at for at, one in enumerate(made) if one != kept[at] and one is not None]
        if stored.above is not None and fold(subtrees(rows_above(kept), len(kept))) == stored.above:
            for at in differing:
                self._report.find(f"entry {first + at}", "it is not the one that was hashed into the tree")
            return kept
        if differing:
            named = f"entry {first + differing[0]}" + (f" and {len(differing) - 1} more" if differing[1:] else "")
            self._report.find(f"tile 0/{number}", f"its hashes are not those of the entries: {named}")
        return [kept[at] if one is None else one for at, one in enumerate(made)]

    def _check_above(self, number: int, root: bytes) -> None:
        stored = self._part.tiles.get(number)
        if stored is not None and stored.above not in {None, root}:
            self._report.find(f"tile 0/{number}", "the hash kept above it is not its root")

    def _claims(self) -> list[tuple[int, bytes]]:
        """Size and root of each checkpoint that the key signed."""
        notes = self._part.notes
        self._report.checked["checkpoints"] += len(notes)
        return [(note.size, root) for note in notes if (root := self._signed_root(note)) is not None]

    def _signed_root(self, note: StoredNote) -> bytes | None:
        place = f"checkpoint {note.size}"
        try:
            checkpoint = self._checker.key.open(note.text)
        except NoteInvalid as error:
            self._report.find(place, str(error))
            return None
        if checkpoint.size != note.size:
            self._report.find(place, f"it is one of {checkpoint.size} entries")
            return None
        if note.frontier is not None:
            frontier = split(note.frontier)
            if len(frontier) != note.size.bit_count() or root_of(frontier) != checkpoint.root:
                self._report.find(place, "the frontier kept with it does not lead to its root")
        return checkpoint.root

    def _check_cosignatures(self) -> None:
        notes = {note.size: note.text for note in self._part.notes}
        for one in self._part.cosignatures:
            problem = self._cosignature_problem(one, notes.get(one.size))
            if problem is not None:
                self._report.find(f"cosignature of {one.witness!r} of checkpoint {one.size}", problem)

    def _cosignature_problem(self, one: StoredCosignature, note: str | None) -> str | None:
        if note is None:
            return "there is no such checkpoint"
        witness = self._checker.witnesses.get(one.witness)
        try:
            if witness is None:
                self._report.checked["cosignatures of unknown witnesses"] += 1
                return None if Signature.parse(one.line).name == one.witness else "its line is another witness's"
            witness.verify(SignedNote.parse(note).body, one.line)
        except NoteInvalid as error:
            return str(error)
        self._report.checked["cosignatures"] += 1
        self._report.cosigned[one.witness] = max(one.size, self._report.cosigned.get(one.witness, 0))
        return None

    def _check_entries(self, leaves: Sequence[bytes | None]) -> None:
        """Tile by tile: what was parsed is looked at while it is at hand, and let go of."""
        part, report = self._part, self._report
        opened = part.details or [None] * len(leaves)
        index = None if part.index is None else BlockCheck(part.index)
        for at in range(0, len(leaves), WIDTH):
            openings = opened[at : at + WIDTH]
            entries = self._read(leaves[at : at + WIDTH])
            details = self._read([None if one is None else one[1] for one in openings])
            for number, entry, opening, detail in zip(count(part.first + at), entries, openings, details, strict=False):
                if entry is not None:
                    self._check_entry(number, entry, opening, detail)
            if index is not None and len(entries) == BLOCK:
                report.add(index.block((part.first + at) // BLOCK, _items(entries, details)))
                report.checked["blocks"] += 1
        report.checked["entries"] += len(leaves) - leaves.count(None)
        report.checked["details"] += len(opened) - opened.count(None)
        if index is not None:
            report.add(index.rest())
            report.terms = index.terms

    def _read(self, texts: Sequence[bytes | None]) -> Sequence[Parsed | None]:
        there = [text for text in texts if text is not None]
        read = self._checker.canonical.read(there)
        if len(there) == len(texts):
            return read
        each = iter(read)
        return [None if text is None else next(each) for text in texts]

    def _check_entry(self, index: int, entry: Parsed, opening: Opened | None, detail: Parsed | None) -> None:
        if isinstance(entry, str) or (problem := wrong_form(entry)) is not None:
            self._report.find(f"entry {index}", entry if isinstance(entry, str) else problem or "")
            return
        if opening is not None:
            if sha256(opening[0] + opening[1]).hexdigest() != entry["sealed"]:
                self._report.find(f"details {index}", "it is not the one that the entry seals")
            elif isinstance(detail, str):
                self._report.find(f"details {index}", detail)
            elif detail is not None and (problem := self._told.take(index, entry, detail)) is not None:
                self._report.find(f"entry {index}", problem)
        if entry["kind"] == ERASES:
            run = Run.of(entry)
            if run is None:
                self._report.find(f"entry {index}", "it does not say what was erased")
            else:
                self._report.runs[index] = run

    def _check_erased(self) -> None:
        part, report = self._part, self._report
        if part.erased is None or part.details is None:
            return
        report.erased = sorted(part.erased.items())
        report.checked["erased"] += len(report.erased)
        for index, opening in enumerate(part.details, part.first):
            if opening is None and index not in part.erased and index not in part.unread:
                report.missing += 1
                report.find(f"details {index}", "it is missing, and no retention run says that it was erased")
        for index, by in report.erased:
            if part.details[index - part.first] is not None:
                report.find(f"details {index}", f"it is still there, though entry {by} says that it was erased")


def _items(entries: Sequence[Parsed | None], details: Sequence[Parsed | None]) -> list[Item] | None:
    """The entries of a block as its index is made from them; ``None`` when one of them cannot be read."""
    items: list[Item] = []
    for entry, detail in zip(entries, details, strict=True):
        if entry is None or isinstance(entry, str) or isinstance(detail, str):
            return None
        items.append((entry, detail or {}))
    return items


def _well_formed(hashes: Sequence[bytes], count: int) -> bool:
    return len(hashes) == count and (not hashes or len(hashes[-1]) == HASH_BYTES)
