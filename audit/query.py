"""Reading the log: a citizen's accesses, one entry, its proof. Raises ``LogUnavailable`` when it cannot."""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import orjson

from audit.blocks import seconds_of
from audit.counting import Counts, count
from audit.history import History
from audit.layout import WIDTH
from audit.merkle import ProofInvalid, path_through, right_edge
from audit.model import LogUnavailable
from audit.proof import write_proof
from audit.search import Accesses, AccessRecord, Wanted, find, load
from audit.store import Session, Store, StoreError
from audit.tiles import KnownTiles, StoredNodes
from audit.verification import verify_inclusion

MAX_LIMIT = 200
_ENTRY = (
    'SELECT e.leaf, d.salt, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
    'WHERE e."index" = ?'
)
_NEWEST_AND_TILE = (
    "SELECT c.size, c.frontier, c.note, t.hashes FROM (SELECT size, frontier, note FROM log_checkpoints "
    "ORDER BY size DESC LIMIT 1) c LEFT JOIN log_tiles t ON t.level = 0 AND t.tile = ?"
)
_LAST_INDEX = 2**63 - 1
ACCESS_KINDS = ("access", "refusal", "failure")
EVERYTHING = Wanted()

STREAM_PAGE = 1_000

__all__ = [
    "ACCESS_KINDS",
    "EVERYTHING",
    "AccessRecord",
    "Accesses",
    "Counts",
    "Queries",
    "StoredEntry",
    "Wanted",
    "seconds_of",
]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept; ``salt`` and ``detail`` are ``None`` once erased."""

    index: int
    leaf: bytes
    salt: bytes | None
    detail: bytes | None

    @property
    def record(self) -> AccessRecord:
        """As a search finds it."""
        detail = {} if self.detail is None else orjson.loads(self.detail)
        return AccessRecord(self.index, orjson.loads(self.leaf), detail)


class Queries:
    """Reads; holds no lock that a writer waits for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tiles = KnownTiles()

    def find(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> Accesses:
        """The newest entries that are wanted, with an index below ``before``; ``limit``: at most 200."""
        with self._reading() as read, read.snapshot():
            return find(read, wanted, before=before, limit=min(limit, MAX_LIMIT))

    def accesses_of(
        self, citizen: str, *, before: int | None = None, limit: int = 50, wanted: Wanted = EVERYTHING
    ) -> Accesses:
        """The citizen's accesses by her pseudonym, newest first, with an index below ``before``."""
        hers = replace(wanted, rare={**wanted.rare, "citizen": citizen}, kinds=ACCESS_KINDS)
        return self.find(hers, before=before, limit=limit)

    def entry(self, index: int) -> StoredEntry | None:
        """One entry with its opening."""
        if not 0 <= index <= _LAST_INDEX:
            return None
        with self._reading() as read:
            rows = read.rows(_ENTRY, (index,))
        if not rows:
            return None
        leaf, salt, detail = rows[0]
        return StoredEntry(index, bytes(leaf), _bytes(salt), _bytes(detail))

    def history(self, citizen: str) -> History:
        """All that the log holds about a citizen."""
        return History(self._store, citizen)

    def stream(self, wanted: Wanted, *, below: int) -> Iterator[AccessRecord]:
        """Everything that is wanted below an index, newest first, some at a time: nothing is held open in between."""
        before: int | None = below
        while before is not None:
            with self._reading() as read, read.snapshot():
                found = find(read, wanted, before=before, limit=STREAM_PAGE)
            yield from found.records
            before = found.older

    def after(self, index: int, *, limit: int) -> list[AccessRecord]:
        """The entries that follow an index, oldest first."""
        first = max(0, index + 1)
        with self._reading() as read, read.snapshot():
            return load(read, range(first, min(first + limit, read.head().size)))[::-1]

    def count(self, wanted: Wanted) -> Counts:
        """How many there are, by day and by organisation."""
        with self._reading() as read, read.snapshot():
            return count(read, wanted)

    def checkpoint(self) -> tuple[int, str]:
        """Size and signed note of the newest checkpoint. An empty log has none: ``LogUnavailable``."""
        with self._reading() as read:
            rows = read.rows("SELECT size, note FROM log_checkpoints ORDER BY size DESC LIMIT 1")
        if not rows:
            raise LogUnavailable("the log is empty")
        return int(rows[0][0]), str(rows[0][1])

    def proof(self, index: int) -> str:
        """A C2SP tlog-proof of an entry to the newest checkpoint."""
        with self._reading() as read:
            # One question: the tiles above are known, after the first proofs.
            ((size, frontier, note, hashes),) = read.rows(_NEWEST_AND_TILE, (index // WIDTH,))
            root = b64decode(note.split("\n", 3)[2])
            path, leads = _path(StoredNodes(read, size, frontier, self._tiles), index, hashes, root)
            if not leads:
                # What is known may be of another copy of the database, which was put in this one's place.
                self._tiles = KnownTiles()
                path, _ = _path(StoredNodes(read, size, frontier, self._tiles), index, hashes, root)
        return write_proof(index, path, note)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        try:
            with self._store.reading() as session:
                yield session
        except StoreError as error:
            raise LogUnavailable(str(error)) from None


def _path(nodes: StoredNodes, index: int, tile: bytes | None, root: bytes) -> tuple[list[bytes], bool]:
    """The inclusion proof of an entry, and whether it leads to the root. ``tile``: the entry's own, if it is full."""
    if tile is not None:
        nodes.learn(index // WIDTH, tile)
    path = path_through(index, nodes.size, nodes.node, right_edge(nodes.size, nodes.node))
    try:
        verify_inclusion(leaf=nodes.node(0, index), index=index, size=nodes.size, path=path, root=root)
    except ProofInvalid:
        return path, False
    return path, True


def _bytes(value: Sequence[int] | None) -> bytes | None:
    return None if value is None else bytes(value)
