"""``accord audit verify``: reads a database and feeds the verifier, which knows no database."""

from collections.abc import Iterator

from audit.layout import WIDTH
from audit.merkle import leaf_hash
from audit.model import LogUnavailable
from audit.store import Session, StoreError, open_store
from audit.verification import root_of_leaves
from audit.verifier import Replay, StoredLeaf, Verdict, check_tile

_LEAVES = (
    'SELECT e."index", e.leaf, d.salt, d.detail FROM log_entries e '
    'LEFT JOIN log_details d ON d."index" = e."index" ORDER BY e."index"'
)


def verify_database(database_url: str, vkey: str) -> Verdict:
    """Replay a database's log. Raises ``NoteInvalid`` for a wrong key, ``LogUnavailable`` when it cannot be read."""
    store = open_store(database_url)
    try:
        with store.reading() as session, session.snapshot():
            return _verify(session, vkey)
    except StoreError as error:
        raise LogUnavailable(f"the log cannot be read: {error}") from None
    finally:
        store.close()


def _verify(session: Session, vkey: str) -> Verdict:
    head = session.head()
    notes = [(int(row[0]), str(row[1])) for row in session.rows("SELECT size, note FROM log_checkpoints")]
    replay = Replay(notes, vkey)
    tiles = _TileCheck(session)
    for row in session.stream(_LEAVES):
        leaf = bytes(row[1])
        replay.entry(StoredLeaf(row[0], leaf, _bytes(row[2]), _bytes(row[3])))
        tiles.push(0, leaf_hash(leaf))
    for table, closes in (("log_spent_keys", False), ("log_closed_keys", True)):
        for name, index in session.rows(f'SELECT key, "index" FROM {table}'):  # noqa: S608  # a table of ours
            replay.key(name, index, closes=closes)
    verdict = replay.verdict(head=(head.size, head.frontier, head.root))
    verdict.findings.extend(tiles.findings())
    return verdict


class _TileCheck:
    """Makes the tiles again from the entries and compares them with those stored."""

    def __init__(self, session: Session) -> None:
        rows = session.rows("SELECT level, tile, hashes FROM log_tiles")
        self._stored = {(row[0], row[1]): bytes(row[2]) for row in rows}
        self._levels: list[list[bytes]] = []
        self._counts: list[int] = []
        self._found: list[str] = []

    def push(self, level: int, one: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._counts.append(0)
        self._levels[level].append(one)
        if len(self._levels[level]) < WIDTH:
            return
        hashes, self._levels[level] = self._levels[level], []
        tile, self._counts[level] = self._counts[level], self._counts[level] + 1
        stored = self._stored.pop((level, tile), b"")
        if finding := check_tile(level, tile, stored, b"".join(hashes)):
            self._found.append(finding)
        self.push(level + 1, root_of_leaves(hashes))

    def findings(self) -> Iterator[str]:
        yield from self._found
        for level, tile in sorted(self._stored):
            yield f"tile {level}/{tile}: the log has no entries for it"


def _bytes(value: object) -> bytes | None:
    return bytes(value) if isinstance(value, bytes | memoryview) else None
