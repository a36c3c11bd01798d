"""The commit: what a batch of appends becomes. Pure: head, edge, known keys and salts in; rows and receipts out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.blocks import Item, OpenBlock
from audit.checkpoint import Checkpoint, NoteSigner
from audit.entry import SALT_BYTES, detail_bytes, leaf_of
from audit.merkle import Growth, leaf_hash, root_of
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append, EntryValue, LogBroken, Receipt
from audit.proof import write_proofs
from audit.store.port import Batch, Head, Row
from audit.tiles import Edge

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """Those of the batch's keys that stood in the database before it."""

    spent: set[str]
    closed: set[str]


@dataclass(slots=True)
class Commit:
    """The rows to write and what each waiter is told, in the order of the batch."""

    batch: Batch
    receipts: list[Receipt]


def check_head(head: Head) -> tuple[bytes, ...]:
    """The frontier of a head that agrees with itself. Raises :class:`LogBroken`."""
    frontier = tuple(head.frontier[at : at + HASH_BYTES] for at in range(0, len(head.frontier), HASH_BYTES))
    if len(head.frontier) != HASH_BYTES * head.size.bit_count() or root_of(frontier) != head.root:
        raise LogBroken(
            "the head of the log contradicts itself: nothing more is written; find out with 'accord audit verify' "
            "what was changed, and restore the database from its last sound backup"
        )
    return frontier


def prepare(
    appends: Sequence[Append],
    *,
    head: Head,
    edge: Edge,
    block: OpenBlock,
    known: KnownKeys,
    signer: NoteSigner,
    salts: bytes,
) -> Commit:
    """Give each append its index and its place in the tree.

    ``known`` grows by what the batch itself spends and closes: within a batch too, the first comes first. ``salts``
    holds ``SALT_BYTES`` for each append. ``edge`` and ``block`` are advanced: they are lost with a commit that fails.
    """
    rows = _Rows(head.size)
    outcomes = [
        rows.add(append, known, salts[at * SALT_BYTES : (at + 1) * SALT_BYTES]) for at, append in enumerate(appends)
    ]
    growth = Growth(head.size, check_head(head), rows.leaves)
    frontier = growth.frontier
    grown = Head(growth.size, b"".join(frontier), root_of(frontier))
    note = signer.sign(Checkpoint(signer.name, grown.size, grown.root))
    tiles = edge.extend(rows.leaves, growth.node)
    full = block.extend(rows.items)
    batch = Batch(
        grown,
        note,
        rows.entries,
        rows.details,
        tiles,
        rows.spent,
        rows.closed,
        full.blocks,
        full.postings,
        full.terms,
        full.lookups,
        rows.erased,
        [row for append in appends for row in append.forgets],
    )
    proofs = write_proofs(head.size, *growth.paths(), note)
    receipts = [
        Receipt(index, refused, leaf, proof)
        for index, (refused, leaf, proof) in enumerate(zip(outcomes, rows.leaves, proofs, strict=True), head.size)
    ]
    return Commit(batch, receipts)


class _Rows:
    def __init__(self, size: int) -> None:
        self._next = size
        self.leaves: list[bytes] = []
        self.entries: list[Row] = []
        self.details: list[Row] = []
        self.spent: list[Row] = []
        self.closed: list[Row] = []
        self.erased: list[Row] = []
        self.items: list[Item] = []

    def add(self, append: Append, known: KnownKeys, salt: bytes) -> str | None:
        """Append one; ``None`` or why it was written as a refusal."""
        index = self._next
        refused = _refusal(append, known)
        spends: tuple[str, ...] = ()
        if refused is None:
            spends = (*append.spends, *_first_left(append, known))
            known.spent.update(spends)
            known.closed.update(append.closes)
            self.spent += [(key, index) for key in spends]
            self.closed += [(key, index) for key in append.closes]
            self.erased += [(erased, index) for erased in append.erases]
        # The entry says which keys it spent: whoever replays the log checks them.
        detail = detail_bytes({**append.detail, "spent": " ".join(spends)} if spends else append.detail)
        skeleton = _skeleton(append.skeleton, refused)
        leaf = leaf_of(skeleton, salt=salt, detail=detail)
        self.items.append((skeleton, append.detail))
        self.leaves.append(leaf_hash(leaf))
        self.entries.append((index, leaf))
        self.details.append((index, salt, detail))
        self._next += 1
        return refused


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


def _skeleton(skeleton: Mapping[str, EntryValue], refused: str | None) -> Mapping[str, EntryValue]:
    return skeleton if refused is None else {**skeleton, "kind": "refusal", "outcome": refused}
