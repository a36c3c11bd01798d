"""The commit: what a batch of appends becomes. Pure: head, edge, known keys and salts in; rows and receipts out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audit.blocks import BLOCK, BlockRows, Item, OpenBlock
from audit.checkpoint import Checkpoint, NoteSigner
from audit.entry import SALT_BYTES, detail_bytes, leaf_of
from audit.merkle import Growth, leaf_hash, root_of
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append, EntryValue, LogBroken, Receipt
from audit.proof import write_proofs
from audit.store.port import Batch, Head, Row
from audit.tiles import Edge

HASH_BYTES = 32
HEAD_BROKEN = (
    "the head of the log contradicts itself or its entries: nothing more is written; find out with 'accord audit "
    "verify' what was changed, and restore the database from its last sound backup"
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


@dataclass(slots=True)
class Commit:
    """The rows to write and what each waiter is told, in the order of the batch."""

    batch: Batch
    receipts: list[Receipt]


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


def fills_a_block(size: int, count: int) -> bool:
    """Whether ``count`` more entries fill a block of a log of ``size``: the log's ends are needed then."""
    return size // BLOCK != (size + count) // BLOCK


def prepare(batch: Sequence[Sealed], *, head: Head, ends: Ends | None, known: KnownKeys, signer: NoteSigner) -> Commit:
    """Give each append its index and its place in the tree.

    ``known`` grows by what the batch itself spends and closes: within a batch too, the first comes first. ``ends`` may
    be ``None`` when the batch fills no block; it is advanced, and lost with a commit that fails.
    """
    rows = _Rows(head.size)
    outcomes = [rows.add(sealed, known) for sealed in batch]
    growth = Growth(head.size, check_head(head), rows.leaves)
    frontier = growth.frontier
    grown = Head(growth.size, b"".join(frontier), root_of(frontier))
    note = signer.sign(Checkpoint(signer.name, grown.size, grown.root))
    proofs = write_proofs(head.size, *growth.paths(), note)
    receipts = [
        Receipt(index, refused, leaf, proof)
        for index, (refused, leaf, proof) in enumerate(zip(outcomes, rows.leaves, proofs, strict=True), head.size)
    ]
    return Commit(_batch(rows, grown, note, growth, ends), receipts)


def _batch(rows: "_Rows", grown: Head, note: str, growth: Growth, ends: Ends | None) -> Batch:
    tiles, full = [], BlockRows()
    if ends is not None:
        tiles = ends.edge.extend(rows.leaves, growth.node)
        full = ends.block.extend(rows.items, ends.terms)
        ends.size = grown.size
    return Batch(
        head=grown,
        note=note,
        entries=rows.entries,
        details=rows.details,
        tiles=tiles,
        spent=rows.spent,
        closed=rows.closed,
        blocks=full.blocks,
        postings=full.postings,
        terms=full.terms,
        lookups=full.lookups,
        erased=rows.erased,
        forgotten=rows.forgotten,
        released=rows.released,
    )


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
