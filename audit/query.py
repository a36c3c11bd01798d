"""Reading the log: a citizen's accesses, one entry, its proof. Raises ``LogUnavailable`` when it cannot."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.merkle import path_through, right_edge
from audit.model import LogUnavailable
from audit.proof import write_proof
from audit.store import Session, Store, StoreError
from audit.store.port import Row
from audit.tiles import StoredNodes

MAX_LIMIT = 200
MAX_SCANNED = 5_000
"""A citizen's entries that one search looks through; it can be continued below the last of them."""
_SCAN_ROWS = 200

_OF_CITIZEN = (
    'SELECT e."index", e.leaf, d.detail FROM log_details d JOIN log_entries e ON e."index" = d."index" '
    'WHERE d.citizen = ? AND d."index" < ? ORDER BY d."index" DESC LIMIT ?'
)
_ENTRY = (
    'SELECT e.leaf, d.salt, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
    'WHERE e."index" = ?'
)
_LAST_INDEX = 2**63 - 1
_ACCESS_KINDS = ("access", "refusal", "failure")


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """An access, a refusal or a failure about one citizen, with its detail opened."""

    index: int
    skeleton: Mapping[str, object]
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Accesses:
    """What was found, newest first. ``older``: look on below this index; ``None`` when all was looked through."""

    records: Sequence[AccessRecord]
    older: int | None


@dataclass(frozen=True, slots=True)
class Search:
    """Which accesses: by ``recipient``, from ``since`` (Unix seconds), before ``until``; ``None`` means any."""

    recipient: str | None = None
    since: int | None = None
    until: int | None = None

    def finds(self, skeleton: Mapping[str, object]) -> bool:
        """Whether an entry is an access that is looked for."""
        time = str(skeleton.get("time", ""))
        return (
            skeleton.get("kind") in _ACCESS_KINDS
            and (self.recipient is None or skeleton.get("recipient") == self.recipient)
            # Times of entries are all written alike, in UTC: they sort as text.
            and (self.since is None or time >= _written(self.since))
            and (self.until is None or time < _written(self.until))
        )


EVERY_ACCESS = Search()


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept; ``salt`` and ``detail`` are ``None`` once erased."""

    index: int
    leaf: bytes
    salt: bytes | None
    detail: bytes | None


class Queries:
    """Reads; holds no lock that a writer waits for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def accesses_of(
        self, citizen: str, *, before: int | None = None, limit: int = 50, search: Search = EVERY_ACCESS
    ) -> Accesses:
        """The citizen's accesses by her pseudonym, newest first, with an index below ``before``.

        Looks through :data:`MAX_SCANNED` of her entries at most.
        """
        found: list[AccessRecord] = []
        limit, scanned, last = min(limit, MAX_LIMIT), 0, _LAST_INDEX if before is None else before
        with self._reading() as read:
            for index, leaf, detail in _scan(read, citizen, last):
                skeleton = json.loads(bytes(leaf))
                if search.finds(skeleton):
                    if len(found) == limit:
                        return Accesses(found, found[-1].index)
                    found.append(AccessRecord(index, skeleton, json.loads(bytes(detail))))
                scanned, last = scanned + 1, index
        return Accesses(found, last if scanned == MAX_SCANNED else None)

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

    def proof(self, index: int) -> str:
        """A C2SP tlog-proof of an entry to the newest checkpoint."""
        with self._reading() as read:
            size, note = read.rows("SELECT size, note FROM log_checkpoints ORDER BY size DESC LIMIT 1")[0]
            nodes = StoredNodes(read, size)
            path = path_through(index, size, nodes.node, right_edge(size, nodes.node))
        return write_proof(index, path, note)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        try:
            with self._store.reading() as session:
                yield session
        except StoreError as error:
            raise LogUnavailable(str(error)) from None


def _scan(read: Session, citizen: str, before: int) -> Iterator[Row]:
    """Index, leaf and detail of the citizen's entries, newest first, some at a time."""
    for _ in range(MAX_SCANNED // _SCAN_ROWS):
        rows = read.rows(_OF_CITIZEN, (citizen, before, _SCAN_ROWS))
        yield from rows
        if len(rows) < _SCAN_ROWS:
            return
        before = rows[-1][0]


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _bytes(value: Sequence[int] | None) -> bytes | None:
    return None if value is None else bytes(value)
