"""The commit: what a batch of appends becomes. Pure: head, edge, known keys and salts in; rows and receipts out.

It is made piece by piece, in the order in which a database can use it: while the entries are being written the tree is
grown, and while the disk takes the commit the receipts are made.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audit.blocks import BlockRows, Item, OpenBlock
from audit.checkpoint import Checkpoint, NoteSigner
from audit.entry import SALT_BYTES, detail_bytes, leaf_of
from audit.merkle import Growth, leaf_hash, root_of
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append, EntryValue, LogBroken, Receipt
from audit.proof import write_proofs
from audit.store.port import INSERTS, Changes, Head, Row, erasures
from audit.tiles import Edge

HASH_BYTES = 32
HEAD_BROKEN = (
    "the head of the log contradicts itself or its entries: nothing more is written; find out with 'accord audit "
    "verify' what was changed, and restore the database from its last sound backup"
)

REWOUND = (
    "the log does not go on from the entries that this process committed or saw: some were taken away, or another "
    "copy of the database was put in its place; nothing more is written; restore the newest sound copy, check it with "
    "'accord audit verify --since' and a checkpoint that a witness or an auditor kept, and start again"
)


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """Those of the batch's keys that stood in the database before it."""

    spent: set[str]
    closed: set[str]


@dataclass(frozen=True, slots=True)
class Sealed:
    """An append as it is written when nothing stands in its way."""

    append: Append
    salt: bytes
    detail: bytes
    leaf: bytes
    leaf_hash: bytes


@dataclass(slots=True)
class Ends:
    """What a writer knows of the log's end: the tiles and the block that are not full, and the terms known so far."""

    size: int
    edge: Edge
    block: OpenBlock
    terms: set[str] = field(default_factory=set)


def check_head(head: Head) -> tuple[bytes, ...]:
    """The frontier of a head that agrees with itself. Raises :class:`LogBroken`."""
    frontier = tuple(head.frontier[at : at + HASH_BYTES] for at in range(0, len(head.frontier), HASH_BYTES))
    if len(head.frontier) != HASH_BYTES * head.size.bit_count() or root_of(frontier) != head.root:
        raise LogBroken(HEAD_BROKEN)
    return frontier


def seal_all(appends: Sequence[Append], salts: bytes) -> list[Sealed]:
    """What can be made before the log is locked. ``salts`` holds ``SALT_BYTES`` for each append."""
    return [
        _sealed(append, None, append.spends, salts[at * SALT_BYTES : (at + 1) * SALT_BYTES])
        for at, append in enumerate(appends)
    ]


class Commit:
    """A batch with its place in the tree. Take all of :meth:`changes` first, then :attr:`head` and :meth:`receipts`."""

    def __init__(
        self, batch: Sequence[Sealed], *, head: Head, ends: Ends | None, known: KnownKeys, signer: NoteSigner
    ) -> None:
        """Give each append its index. Raises :class:`LogBroken`.

        ``known`` grows by what the batch itself spends and closes: within a batch too, the first comes first. ``ends``
        may be ``None`` when the batch fills no block; it is advanced, and lost with a commit that fails.
        """
        self._before = head
        self._frontier = check_head(head)
        self._rows = _Rows(head.size)
        self._outcomes = [self._rows.add(sealed, known) for sealed in batch]
        self._ends = ends
        self._signer = signer

    @property
    def erases(self) -> bool:
        """Whether details of earlier entries go with it."""
        return bool(self._rows.erased)

    def changes(self) -> Iterator[Changes]:
        """The statements and their rows: those of the entries, of the tree and what finds, of what is erased."""
        rows = self._rows
        yield _present(entries=rows.entries, details=rows.details, spent=rows.spent, closed=rows.closed)
        self._growth = growth = Growth(self._before.size, self._frontier, rows.leaves)
        tiles, full = self._fill()
        frontier = growth.frontier
        root = root_of(frontier)
        self._note = self._signer.sign(Checkpoint(self._signer.name, growth.size, root))
        self.head = Head(growth.size, b"".join(frontier), root, self._note)
        """The head once it is written."""
        yield _present(
            tiles=tiles,
            blocks=full.blocks,
            postings=full.postings,
            lookups=full.lookups,
            terms=full.terms,
            checkpoint=[(self.head.size, self.head.frontier, self._note)],
        )
        if rows.erased:
            # After the lookups of a block that this commit filled, which may be of a detail that goes.
            yield from erasures(rows.erased, rows.forgotten, rows.released)

    def receipts(self) -> list[Receipt]:
        """What each waiter is told, in the order of the batch."""
        proofs = write_proofs(self._before.size, *self._growth.paths(), self._note)
        told = zip(self._rows.entries, self._outcomes, proofs, strict=True)
        return [Receipt(index, refused, leaf, proof) for (index, leaf), refused, proof in told]

    def _fill(self) -> tuple[list[Row], BlockRows]:
        """The tiles and the blocks that became full."""
        if self._ends is None:
            return [], BlockRows()
        tiles = self._ends.edge.extend(self._rows.leaves, self._growth.node)
        full = self._ends.block.extend(self._rows.items, self._ends.terms)
        self._ends.size = self._growth.size
        return tiles, full


def _present(**rows: Sequence[Row]) -> Changes:
    """The tables that have rows."""
    return [(INSERTS[name], some) for name, some in rows.items() if some]


class _Rows:
    def __init__(self, size: int) -> None:
        self._next = size
        self.leaves: list[bytes] = []
        self.entries: list[Row] = []
        self.details: list[Row] = []
        self.spent: list[Row] = []
        self.closed: list[Row] = []
        self.erased: list[Row] = []
        self.forgotten: list[Row] = []
        self.released: list[Row] = []
        self.items: list[Item] = []

    def add(self, sealed: Sealed, known: KnownKeys) -> str | None:
        """Append one; ``None`` or why it was written as a refusal."""
        append, index = sealed.append, self._next
        refused = _refusal(append, known)
        if refused is not None:
            sealed = _sealed(append, refused, (), sealed.salt)
        else:
            spends = append.spends
            if append.one_of:
                spends = (*spends, *_first_left(append, known))
                sealed = _sealed(append, None, spends, sealed.salt)
            self._use(append, spends, known)
        self.items.append((append.skeleton if refused is None else _refused(append, refused), append.detail))
        self.leaves.append(sealed.leaf_hash)
        self.entries.append((index, sealed.leaf))
        self.details.append((index, sealed.salt, sealed.detail))
        self._next += 1
        return refused

    def _use(self, append: Append, spends: tuple[str, ...], known: KnownKeys) -> None:
        index = self._next
        if spends:
            known.spent.update(spends)
            self.spent += [(key, index) for key in spends]
        if append.closes:
            known.closed.update(append.closes)
            self.closed += [(key, index) for key in append.closes]
        if append.erases:
            self.erased += [(erased, index) for erased in append.erases]
            self.forgotten += append.forgets
            self.released += [(key,) for key in append.releases]


def _sealed(append: Append, refused: str | None, spends: tuple[str, ...], salt: bytes) -> Sealed:
    # The entry says which keys it spent: whoever replays the log checks them.
    detail = detail_bytes({**append.detail, "spent": " ".join(spends)} if spends else append.detail)
    leaf = leaf_of(append.skeleton if refused is None else _refused(append, refused), salt=salt, detail=detail)
    return Sealed(append, salt, detail, leaf, leaf_hash(leaf))


def _refused(append: Append, outcome: str) -> Mapping[str, EntryValue]:
    return {**append.skeleton, "kind": "refusal", "outcome": outcome}


def _refusal(append: Append, known: KnownKeys) -> str | None:
    """The outcome of the first key that stands in the way."""
    if not known.closed.isdisjoint(append.requires):
        return _outcome(append, append.requires, known.closed, GRANT_CLOSED)
    if not known.spent.isdisjoint(append.spends):
        return _outcome(append, append.spends, known.spent, ALREADY_SPENT)
    if not known.closed.isdisjoint(append.closes):
        return _outcome(append, append.closes, known.closed, GRANT_CLOSED)
    if append.one_of and known.spent.issuperset(append.one_of):
        return append.outcomes.get(append.one_of[0], ALREADY_SPENT)
    return None


def _outcome(append: Append, keys: Iterable[str], known: set[str], otherwise: str) -> str:
    return next((append.outcomes.get(key, otherwise) for key in keys if key in known), otherwise)


def _first_left(append: Append, known: KnownKeys) -> tuple[str, ...]:
    return next(((key,) for key in append.one_of if key not in known.spent), ())
