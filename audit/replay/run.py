"""The verification of a whole log, or of one from an earlier checkpoint on, wherever it is kept.

1. what there is: the newest checkpoint that the key signed
2. where it begins, and the tree of the entries before that
3. the entries, part by part, on as many processes as there are processors; put together in the order of the log
4. the tree at its end; every checkpoint on the way
5. keys: nothing spent twice, no access after its grant's end, the tables as the entries say
6. what was erased, against what the retention runs say
7. a database's terms, and rows that no log has
8. witnesses

Whoever runs this brings the source; what is needed here is the standard library and ``cryptography``.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import cast

from audit.checkpoint import Checkpoint, NoteVerifier
from audit.cosignature import CosignatureVerifier
from audit.layout import WIDTH
from audit.merkle import EMPTY_ROOT
from audit.note import NoteInvalid
from audit.replay.erasures import Erasures
from audit.replay.hashes import fold, rows_above, subtrees
from audit.replay.order import Heaps, Keys, Range
from audit.replay.report import Claim, Report, Rules
from audit.replay.tree import Tree, TreeUnknown, rows_at
from audit.replay.turn import InTurn
from audit.replay.workers import Answer, KeptKeys, KeysTask, PartTask, Task, processors, run_here, run_in_processes
from audit.sources.port import GrowingReader, Reader, Source, SourceUnavailable, StoredNote, TablesReader
from audit.verifier import MAX_FINDINGS, MOST_OF_A_COMMIT, Finding, Verdict

PART = 32_768
"""Entries that a process looks at together: some hundred megabytes, a second's work."""

_ENOUGH_FOR_ONE = 2 * PART
"""Entries that are verified before a second process would have begun."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is wanted.

    ``since``: a signed note of an earlier checkpoint: what comes before it is not read again. ``witnesses``: vkeys of
    those whose cosignatures are wanted. ``processes``: how many; ``None`` for as many as there are processors, and one
    for a small log. ``part``: entries that a process looks at together, a multiple of 256. ``progress``: called with
    the entries done and all that there are.
    """

    since: str | None = None
    witnesses: tuple[str, ...] = ()
    processes: int | None = None
    part: int = PART
    progress: Callable[[int, int], None] | None = None


def verify(source: Source, vkey: str, options: Options = Options()) -> Verdict:  # it is frozen
    """Verify the log against its key (C2SP vkey).

    Raises ``NoteInvalid`` when a key is none or ``since`` is not signed by the log's; :class:`SourceUnavailable` when
    the log cannot be read. Whatever is wrong with the log itself is a finding.
    """
    began = time.monotonic()
    rules = Rules(vkey, options.witnesses, secrets.token_hex(16), secrets.token_bytes(16))
    key = NoteVerifier(vkey)
    since = None if options.since is None else key.open(options.since)
    for witness in options.witnesses:
        CosignatureVerifier(witness)
    reader = source.open()
    try:
        verdict = _Verification(source, reader, rules, options, since).verdict()
    finally:
        reader.close()
    verdict.seconds = time.monotonic() - began
    return verdict


class _Verification:
    def __init__(
        self, source: Source, reader: Reader, rules: Rules, options: Options, since: Checkpoint | None
    ) -> None:
        self._source = source
        self._reader = reader
        self._rules = rules
        self._options = options
        self._since = since
        self._key = NoteVerifier(rules.vkey)
        self._verdict = Verdict()
        self._erasures = Erasures()
        self._keys = Keys()
        self._terms: dict[str, int] | None = {}
        self._cosigned: dict[str, int] = {}
        self._tail: list[bytes] = []
        self._newest: int | None = None
        self._missing = 0

    def verdict(self) -> Verdict:
        verdict = self._verdict
        # 1.
        opening = self._opening = self._reader.opening(self._key, cosigned=bool(self._options.witnesses))
        verdict.add(opening.findings)
        verdict.unchecked += opening.unchecked
        verdict.size, verdict.root, verdict.checkpoint = opening.size, EMPTY_ROOT, opening.note
        self._check_since()
        if opening.size == 0 and not opening.tables:
            return verdict
        # 2.
        verdict.first = first = self._first()
        try:
            rows = rows_at(first, opening.size, self._reader.tile)
        except TreeUnknown as unknown:
            verdict.add([unknown.finding])
            return verdict
        self._claims = _Claims(first)
        self._tree = Tree(first, rows, tile=self._reader.tile, partial=not opening.tables)
        # 3.
        if self._read():
            self._conclude()
        return verdict

    def _conclude(self) -> None:
        verdict, first, size = self._verdict, self._verdict.first, self._opening.size
        # 4.
        verdict.root = self._tree.root(fold(subtrees(rows_above(self._tail), len(self._tail))))
        verdict.add(self._tree.edge())
        verdict.checked["tiles"] += self._tree.tiles
        verdict.add(self._claims.findings())
        if not self._opening.tables and self._key.open(self._opening.note).root != verdict.root:
            verdict.add([Finding("checkpoint", "the log leads to another root")])
        # 5. and 6.
        newest = self._newest = self._reader.newest()
        verdict.add(self._keys.findings(Range(first, size, newest, self._is_erased)))
        if self._opening.tables or self._opening.erased is not None:
            verdict.add(self._erasures.findings(first=first, size=size, newest=newest))
        # 7.
        self._check_tables()
        # 8.
        self._check_witnesses()
        verdict.unchecked += self._left_out()
        self._check_latest()

    def _check_since(self) -> None:
        since, opening = self._since, self._opening
        if since is not None and since.size > opening.size:
            problem = f"the log has only {opening.size} entries: it was rolled back, or is not the one that signed this"
            self._verdict.add([Finding(f"checkpoint {since.size}, as given", problem)])
            self._since = None
        elif since is not None and since.size < opening.first:
            raise SourceUnavailable(
                f"what is there begins at entry {opening.first}, after the checkpoint given: that it continues it "
                "cannot be shown"
            )

    def _first(self) -> int:
        if self._since is None:
            return self._opening.first
        # The tile in which it ends is read from its beginning.
        return max(self._opening.first, self._since.size - self._since.size % WIDTH)

    def _read(self) -> bool:
        """Read every part; whether there was something in all of them."""
        size, first = self._opening.size, self._verdict.first
        for answer in self._answers(size - first):
            if isinstance(answer, KeptKeys):
                self._keep(answer)
                continue
            self._merge(answer)
            if self._opening.entries and not answer.checked["entries"]:
                self._verdict.add([Finding(f"entry {answer.first}", "neither it nor any of those after it is there")])
                return False
            if self._options.progress is not None:
                self._options.progress(answer.end - first, size - first)
        return True

    def _answers(self, entries: int) -> Iterator[Answer]:
        count = self._options.processes or (1 if entries <= _ENOUGH_FOR_ONE else processors())
        if count == 1:
            return run_here(self._reader, self._rules, self._tasks())
        return run_in_processes(self._source, self._rules, self._tasks(), count)

    def _tasks(self) -> Iterator[Task]:
        opening, first = self._opening, self._verdict.first
        marks = () if self._since is None else (self._since.size,)
        part = self._options.part
        notes = InTurn(opening.notes, attrgetter("size"), first=first)
        erased = None if opening.erased is None else InTurn(opening.erased, itemgetter(0), first=first)
        while first < opening.size:
            end = min(opening.size, (first // part + 1) * part)
            gone = None if erased is None else dict(erased.before(end))
            yield PartTask(first, end, opening.entries, opening.details, tuple(notes.before(end + 1)), gone, marks)
            first, marks = end, ()
        if opening.tables:
            yield from map(KeysTask, self._tables.key_slices())

    def _merge(self, report: Report) -> None:
        verdict, tree = self._verdict, self._tree
        since = self._since
        if since is not None and since.size in report.ragged and tree.root(report.ragged[since.size]) != since.root:
            verdict.add([Finding(f"checkpoint {since.size}, as given", "the log does not continue the one it signed")])
        verdict.add(report.findings)
        verdict.more += report.more
        self._missing += report.missing
        verdict.checked.update(report.checked)
        claims = deque(report.claims)
        for root in (*report.roots, None):
            while claims and claims[0].size // WIDTH == tree.count:
                claim = claims.popleft()
                self._claims.add(claim, tree.root(claim.ragged))
            if root is not None:
                verdict.add(tree.push(root))
        self._tail = report.tail
        self._collect(report)

    def _collect(self, report: Report) -> None:
        self._erasures.add(report)
        if report.spent:
            self._keys.spent.add(report.spent)
            self._keys.closed.add(report.closed)
            self._keys.accessed.add(report.accessed)
        self._cosigned.update(report.cosigned)
        if report.terms is None:
            self._terms = None
        elif self._terms is not None:
            self._terms = {**report.terms, **self._terms}

    def _keep(self, kept: KeptKeys) -> None:
        self._verdict.checked["keys"] += sum(map(len, kept.heaps)) // 16
        self._verdict.add(Finding(f"key at entry {index}", "the log has no such entry") for index in kept.impossible)
        if kept.closes:
            self._keys.kept_closed = self._keys.kept_closed or Heaps()
            self._keys.kept_closed.add(kept.heaps)
        else:
            self._keys.kept_spent = self._keys.kept_spent or Heaps()
            self._keys.kept_spent.add(kept.heaps)

    @property
    def _tables(self) -> TablesReader:
        return cast("TablesReader", self._reader)

    @property
    def _growing(self) -> GrowingReader:
        return cast("GrowingReader", self._reader)

    def _is_erased(self, index: int) -> bool:
        if self._erasures.erased(index):
            return True
        # By a run of just now; not asked for each of thousands that nobody will read of.
        if not self._opening.tables or len(self._verdict.findings) >= MAX_FINDINGS:
            return False
        by = self._tables.erasure_of(index)
        return by is not None and self._opening.size <= by < (self._newest or 0)

    def _check_tables(self) -> None:
        if not self._opening.tables:
            return
        if self._terms is not None:
            self._verdict.add(
                _term_findings(self._terms, self._tables.terms(), self._verdict.first, self._opening.size)
            )
        self._verdict.add(self._tables.strays(self._opening.size))

    def _check_witnesses(self) -> None:
        for verifier in map(CosignatureVerifier, self._options.witnesses):
            if self._opening.tables:
                size = self._cosigned.get(verifier.name)
                if size is None:
                    problem = "it cosigned none of the checkpoints that were read"
                    self._verdict.add([Finding(f"witness {verifier.name!r}", problem)])
                elif size < self._opening.size:
                    self._verdict.unchecked.append(
                        f"{verifier.name!r} has cosigned {size} entries, not yet those after"
                    )
                continue
            try:
                verifier.find(self._opening.note)
                self._verdict.checked["cosignatures"] += 1
            except NoteInvalid as error:
                self._verdict.add([Finding("checkpoint", f"witness {verifier.name!r}: {error}")])

    def _check_latest(self) -> None:
        """What somebody else serves neither verifies nor fails by what is said of entries that were not read."""
        opening, verdict = self._opening, self._verdict
        if not opening.grows or len(verdict.findings) + verdict.more > self._missing:
            return
        later = self._erasures.later(opening.size)
        if self._missing and self._newest is not None:
            later += self._growing.erased_by(opening.size, self._newest)
        if later:
            raise SourceUnavailable(
                f"{later} details were erased by entries that came while the log was read: verify it again"
            )

    def _left_out(self) -> Iterator[str]:
        opening, first = self._opening, self._verdict.first
        if first and opening.entries and not opening.tables:
            yield f"what was spent or ended before entry {first} is not known here: order is checked from there on only"
        if before := self._erasures.before(first):
            yield f"{before} retention runs erased entries before {first} too: what they name was not compared"
        if later := self._erasures.later(opening.size):
            yield f"{later} details were erased by entries that come after those that were read"
        if unknown := self._verdict.checked.pop("cosignatures of unknown witnesses", 0):
            yield f"{unknown} cosignatures are of witnesses whose keys were not given"


class _Claims:
    """Signed checkpoints against the roots that the entries lead to."""

    def __init__(self, first: int) -> None:
        """``first``: where reading began."""
        self._first = first
        self._last = first
        self._gap: tuple[int, int] | None = None
        """The first two that have more entries between them than one commit."""
        self._right = 0
        """The last one before the first that is wrong."""
        self._first_wrong: int | None = None
        self._wrong = 0

    def add(self, claim: Claim, root: bytes) -> None:
        if claim.size - self._last > MOST_OF_A_COMMIT and self._gap is None:
            self._gap = (self._last, claim.size)
        self._last = claim.size
        if claim.root != root:
            self._first_wrong = claim.size if self._first_wrong is None else self._first_wrong
            self._wrong += 1
        elif not self._wrong:
            self._right = claim.size

    def findings(self) -> Iterator[Finding]:
        """One for all of them: what is wrong before a checkpoint is wrong before all later ones."""
        if self._gap is not None:
            problem = (
                f"there is none between {self._gap[0]} and it, and no commit has so many entries: some are missing"
            )
            yield Finding(f"checkpoint {self._gap[1]}", problem)
        first, size, more = self._first, self._first_wrong, self._wrong - 1
        if size is None:
            return
        where = f"something was changed among entries {max(first, self._right)} to {size - 1}"
        if first and not self._right:
            where = f"something was changed before entry {size}, or in the tiles of hashes of what comes before {first}"
        others = f"; so they do to {more} later ones" if more else ""
        yield Finding(f"checkpoint {size}", f"the entries lead to another root: {where}{others}")


def _term_findings(made: dict[str, int], kept: dict[str, int], first: int, size: int) -> Iterator[Finding]:
    """``made``: by the entries read; what is kept of blocks before and after them is not compared."""
    begin, end = first // WIDTH, size // WIDTH
    for term, block in made.items():
        said = kept.get(term)
        if said is None or (said != block and said >= begin):
            said_to = "is not kept" if said is None else f"is said to be in block {said} first"
            yield Finding(f"index of block {block}", f"the term {term!r} {said_to}")
    for term, block in kept.items():
        if begin <= block < end and term not in made:
            yield Finding(f"index of block {block}", f"the term {term!r} is in none of the entries")


__all__ = ["PART", "Options", "StoredNote", "verify"]
