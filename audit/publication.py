"""What the log publishes, read from its database: checkpoints, tiles of hashes, bundles of entries, their details.

Entries and tiles are written by the commit that signs the checkpoint covering them: what can be read here is covered by
a signed checkpoint, and none of it but the checkpoint and the details ever changes. ``None``: nothing is there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from audit.layout import WIDTH, TilePath, bundle_of
from audit.merkle import HASH_BYTES
from audit.sessions import reading
from audit.sources.files import lines_of
from audit.store import Session, Store
from audit.store.port import Row
from audit.tiles import read_leaves

MOST_CHECKPOINTS = 1_000

_LAST_INDEX = 2**63 - 1
_NEWEST = "SELECT size, note FROM log_checkpoints WHERE size > 0 ORDER BY size DESC LIMIT 1"
_NEWEST_COSIGNED = (
    "SELECT c.size, c.note FROM log_checkpoints c "
    "WHERE c.size = (SELECT size FROM log_cosignatures ORDER BY size DESC LIMIT 1)"
)
_COSIGNATURES = "SELECT line FROM log_cosignatures WHERE size = ? ORDER BY witness"
_CHECKPOINTS = "SELECT size, note FROM log_checkpoints WHERE size > ? ORDER BY size LIMIT ?"
_TILE = "SELECT hashes FROM log_tiles WHERE level = ? AND tile = ?"
_ROOTS = "SELECT root FROM log_tiles WHERE level = ? AND tile >= ? AND tile < ? ORDER BY tile"
_ENTRIES = 'SELECT leaf FROM log_entries WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
_ERASED = 'SELECT "index", by FROM log_erased WHERE "index" > ? ORDER BY "index" LIMIT ?'
_ERASED_AT_ONCE = 5_000
_DETAILS = (
    'SELECT e."index", d.salt, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
    'WHERE e."index" >= ? AND e."index" < ? ORDER BY e."index"'
)


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A signed checkpoint; ``note`` has the lines of the witnesses who cosigned it after the log's own."""

    size: int
    note: str


class Publication:
    """Reads; holds no lock that a writer waits for. Raises ``LogUnavailable`` when the log cannot be read."""

    def __init__(self, store: Store, *, most_checkpoints: int = MOST_CHECKPOINTS) -> None:
        self._store = store
        self._most_checkpoints = most_checkpoints

    def checkpoint(self) -> PublishedCheckpoint | None:
        """The newest checkpoint."""
        return self._checkpoint(_NEWEST)

    def cosigned_checkpoint(self) -> PublishedCheckpoint | None:
        """The newest checkpoint that a witness cosigned. On a log that grows all the time the newest never is."""
        return self._checkpoint(_NEWEST_COSIGNED)

    def checkpoints(self, *, after: int) -> bytes:
        """Checkpoints of more than ``after`` entries as JSON lines, ascending, at most ``most_checkpoints``.

        As the log signed them, without cosignatures: a line once given never changes.
        """
        with reading(self._store) as read:
            rows = read.rows(_CHECKPOINTS, (after, self._most_checkpoints))
        return lines_of({"size": row[0], "note": row[1]} for row in rows)

    def tile(self, path: TilePath) -> bytes | None:
        """The hashes of a tile, or as many of them as ``path`` asks for."""
        level, number = int(path.level), path.number
        if path.first + path.width > _LAST_INDEX:
            return None
        with reading(self._store) as read:
            # The way that is taken most: one row, which says everything.
            rows = read.rows(_TILE, (level, number))
            if rows:
                return bytes(rows[0][0])[: path.width * HASH_BYTES]
            hashes = [] if path.width == WIDTH else _edge(read, path)
        return b"".join(hashes) if len(hashes) == path.width else None

    def entries(self, path: TilePath) -> bytes | None:
        """A bundle of entries."""
        rows = self._range(_ENTRIES, path)
        return None if rows is None else bundle_of([bytes(row[0]) for row in rows])

    def details(self, path: TilePath) -> bytes | None:
        """The details of a bundle's entries as JSON lines, without those that were erased."""
        rows = self._range(_DETAILS, path)
        return None if rows is None else lines_of(_openings(rows))

    def erased(self) -> Iterator[bytes]:
        """Every erased detail and the entry that says so, as JSON lines, some thousands at a time."""
        after = -1
        while True:
            with reading(self._store) as read:
                rows = read.rows(_ERASED, (after, _ERASED_AT_ONCE))
            if not rows:
                return
            yield lines_of({"index": row[0], "by": row[1]} for row in rows)
            after = rows[-1][0]

    def _checkpoint(self, statement: str) -> PublishedCheckpoint | None:
        with reading(self._store) as read, read.snapshot():
            for size, note in read.rows(statement):
                lines = "".join(f"{row[0]}\n" for row in read.rows(_COSIGNATURES, (size,)))
                return PublishedCheckpoint(size, note + lines)
        return None

    def _range(self, statement: str, path: TilePath) -> Sequence[Row] | None:
        if path.first + path.width > _LAST_INDEX:
            return None
        with reading(self._store) as read:
            rows = read.rows(statement, (path.first, path.first + path.width))
        return rows if len(rows) == path.width else None


def _edge(read: Session, path: TilePath) -> list[bytes]:
    """The first hashes of a tile that is not full, as many as there are.

    It may have become full since it was looked for: what it began with is the same.
    """
    level, first, end = int(path.level), path.first, path.first + path.width
    if level == 0:
        return read_leaves(read, first, end)
    return [bytes(row[0]) for row in read.rows(_ROOTS, (level - 1, first, end))]


def _openings(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    for index, salt, detail in rows:
        if detail is not None:
            yield {"index": index, "salt": bytes(salt).hex(), "detail": bytes(detail).decode(errors="replace")}
