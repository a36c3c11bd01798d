"""All that the log holds about one citizen, opened and proven: what she may ask for (GDPR article 15).

As of one checkpoint: every proof leads to it. Entries are read some at a time and nothing is held open in between, so
that a long history costs no more memory than a short one. What is erased meanwhile, or was, is not in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.merkle import path_through, right_edge
from audit.proof import write_proof
from audit.search import Wanted, find
from audit.sessions import reading
from audit.store import Session, Store
from audit.tiles import StoredNodes

PAGE = 200
"""Entries that are read together."""

_NEWEST = "SELECT size, note FROM log_checkpoints ORDER BY size DESC LIMIT 1"
_OPENED = (
    'SELECT e."index", e.leaf, d.salt, d.detail FROM log_details d JOIN log_entries e ON e."index" = d."index" '
    'WHERE d."index" IN ({}) ORDER BY e."index" DESC'
)


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry as it is kept, with what opens its seal and a C2SP ``tlog-proof``."""

    index: int
    leaf: bytes
    salt: bytes
    detail: bytes
    proof: str


class History:
    """One citizen's. Raises ``LogUnavailable``, at once where the log cannot be read at all."""

    def __init__(self, store: Store, citizen: str) -> None:
        self._store = store
        self._hers = Wanted(rare={"citizen": citizen})
        with reading(store) as session:
            rows = session.rows(_NEWEST)
        self._size, self.checkpoint = (int(rows[0][0]), str(rows[0][1])) if rows else (0, "")

    def entries(self) -> Iterator[ProvenEntry]:
        """Of every kind, newest first."""
        before: int | None = self._size
        while before:
            with reading(self._store) as session:
                found = find(session, self._hers, before=before, limit=PAGE)
                page = self._opened(session, [record.index for record in found.records])
            yield from page
            before = found.older

    def _opened(self, session: Session, indexes: Sequence[int]) -> list[ProvenEntry]:
        if not indexes:
            return []
        nodes = StoredNodes(session, self._size)
        edge = right_edge(self._size, nodes.node)
        rows = session.rows(_OPENED.format(",".join("?" * len(indexes))), tuple(indexes))
        return [
            ProvenEntry(
                index,
                bytes(leaf),
                bytes(salt),
                bytes(detail),
                write_proof(index, path_through(index, self._size, nodes.node, edge), self.checkpoint),
            )
            for index, leaf, salt, detail in rows
        ]
