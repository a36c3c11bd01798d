"""A log in a database, read without trusting it: no row is taken for what it should be."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Protocol

from audit.blocks import BLOCK, SEGMENT
from audit.checkpoint import NoteInvalid, NoteVerifier
from audit.layout import HEIGHT, MAX_LEVEL, WIDTH
from audit.sources.port import (
    IndexRows,
    KeySlice,
    Opened,
    Opening,
    Part,
    SourceUnavailable,
    StoredCosignature,
    StoredNote,
    StoredTile,
)
from audit.verifier import Finding

Row = tuple[Any, ...]

_ROWS_OF_A_SLICE = 500_000
_MOST_STRAYS = 20
"""Named of each kind."""
_MOST_SIZE = 2**63 - 1
_MOST_TRIED = 1_000
"""Of the newest checkpoints, for one that the key signed."""

_NEWEST = "SELECT size, note, frontier FROM log_checkpoints ORDER BY size DESC LIMIT 1"
_NEXT_NEWEST = "SELECT size, note FROM log_checkpoints WHERE size < ? ORDER BY size DESC LIMIT 1"
_LAST_ENTRY = 'SELECT max("index") FROM log_entries'
_RANGE = '"index" >= ? AND "index" < ? ORDER BY "index"'
_ENTRIES = f'SELECT "index", leaf FROM log_entries WHERE {_RANGE}'  # noqa: S608  # constants of this file
_DETAILS = f'SELECT "index", salt, detail FROM log_details WHERE {_RANGE}'  # noqa: S608  # idem
_ERASED = f'SELECT "index", by FROM log_erased WHERE {_RANGE}'  # noqa: S608  # idem
_NOTES = "SELECT size, note, frontier FROM log_checkpoints WHERE size > ? AND size <= ? ORDER BY size"
_COSIGNATURES = "SELECT size, witness, line FROM log_cosignatures WHERE size > ? AND size <= ? ORDER BY size, witness"
_TILES = "SELECT tile, hashes, root FROM log_tiles WHERE level = 0 AND tile >= ? AND tile < ?"
_TILE = "SELECT hashes, root FROM log_tiles WHERE level = ? AND tile = ?"
_ROOTS = "SELECT root FROM log_tiles WHERE level = ? AND tile >= ? AND tile < ? ORDER BY tile"
_BLOCKS = "SELECT block, first_time, last_time FROM log_blocks WHERE block >= ? AND block < ?"
_POSTINGS = "SELECT block, entries FROM log_postings WHERE term = CAST(? AS TEXT) AND block >= ? AND block < ?"
_IN_SEGMENT = f'"index" >= segment * {SEGMENT} AND "index" < (segment + 1) * {SEGMENT}'
# One number for each: three would take twice as long to read.
_LOOKUPS = (
    f'SELECT key * {SEGMENT} + "index" - segment * {SEGMENT} FROM log_lookups WHERE segment = ? '  # noqa: S608  # constants
    f'AND "index" >= ? AND "index" < ? AND {_IN_SEGMENT} ORDER BY segment, key, "index"'
)
_ASTRAY = f'SELECT "index" FROM log_lookups WHERE segment >= ? AND segment < ? AND NOT ({_IN_SEGMENT})'  # noqa: S608  # constants
_NEXT_TERM = "SELECT min(term) FROM log_postings WHERE term > CAST(? AS TEXT)"
_TERMS = "SELECT term, block FROM log_terms"
_ERASURE = 'SELECT by FROM log_erased WHERE "index" = ?'


class Connection(Protocol):
    """A database read as it is. Every method raises :class:`SourceUnavailable` for what the driver raises."""

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a statement, whose parameters are written ``?``. Texts may be bytes."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside is of one moment."""
        ...

    def slices(self, table: str, rows: int) -> list[tuple[int | None, int | None]]:
        """Bounds of slices of about so many rows, each for :meth:`slice`; they leave nothing out."""
        ...

    def slice(self, table: str, columns: str, first: int | None, end: int | None) -> Iterator[Row]:
        """The rows of a slice."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class DatabaseReader:
    """A reader of :mod:`audit.sources.port`, with tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = connection.rows
        self._known_terms: list[object] | None = None
        self._terms_come_again = False
        self._key: NoteVerifier | None = None

    def opening(self, key: NoteVerifier, *, cosigned: bool) -> Opening:  # noqa: ARG002  # parts have the checkpoints
        """The newest checkpoint, and whether the entries go as far."""
        self._key = key
        with self._connection.snapshot():
            newest, last = self._rows(_NEWEST), self._rows(_LAST_ENTRY)[0][0]
        entries = 0 if last is None else int(last) + 1
        size, note = (int(newest[0][0]), _text(newest[0][1])) if newest else (0, "")
        findings = []
        if size != entries:
            findings.append(Finding("head", f"the newest checkpoint is one of {size} entries, the log has {entries}"))
        return Opening(max(0, min(size, entries)), note, tables=True, findings=findings)

    def part(self, first: int, end: int, *, entries: bool, details: bool) -> Part:  # noqa: ARG002  # both are there
        """Some entries and everything about them."""
        with self._connection.snapshot():
            findings: list[Finding] = []
            return Part(
                first,
                end,
                leaves=_filled(self._rows(_ENTRIES, (first, end)), first, end, "entry", findings),
                details=_filled_details(self._rows(_DETAILS, (first, end)), first, end, findings),
                tiles=self._tiles(first // WIDTH, end // WIDTH, findings),
                notes=[StoredNote(row[0], _text(row[1]), _bytes(row[2])) for row in self._rows(_NOTES, (first, end))],
                erased={row[0]: _integer(row[1]) for row in self._rows(_ERASED, (first, end))},
                cosignatures=[
                    StoredCosignature(row[0], _text(row[1]), _text(row[2]))
                    for row in self._rows(_COSIGNATURES, (first, end))
                ],
                index=self._index(first, end, findings),
                findings=findings,
            )

    def tile(self, level: int, number: int, width: int) -> StoredTile | None:
        """A full tile as it is kept; of another, the hashes kept above the tiles below."""
        if width == WIDTH:
            rows = self._rows(_TILE, (level, number))
            return StoredTile(_bytes(rows[0][0]), _bytes(rows[0][1])) if rows else None
        below = self._rows(_ROOTS, (level - 1, number * WIDTH, number * WIDTH + width))
        return StoredTile(b"".join(_bytes(row[0]) for row in below))

    def key_slices(self) -> list[KeySlice]:
        """The tables of keys, in slices."""
        return [
            KeySlice(closes, first, end)
            for closes in (True, False)
            for first, end in self._connection.slices(_keys_table(closes=closes), _ROWS_OF_A_SLICE)
        ]

    def keys(self, part: KeySlice) -> Iterator[tuple[bytes, int]]:
        """The rows of a slice."""
        table = _keys_table(closes=part.closes)
        for key, index in self._connection.slice(table, 'key, "index"', part.first, part.end):
            yield key if type(key) is bytes else str(key).encode(), _integer(index)

    def terms(self) -> dict[str, int]:
        """The table of terms."""
        return {_text(row[0]): _integer(row[1]) for row in self._rows(_TERMS)}

    def erasure_of(self, index: int) -> int | None:
        """Whether an entry was erased, by now."""
        rows = self._rows(_ERASURE, (index,))
        return _integer(rows[0][0]) if rows else None

    def newest(self) -> int:
        """Size of the newest checkpoint by now that the key signed; 0 when it signed none of the newest."""
        below = _MOST_SIZE
        for _ in range(_MOST_TRIED):
            rows = self._rows(_NEXT_NEWEST, (below,))
            if not rows or self._is_signed(*rows[0]):
                return int(rows[0][0]) if rows else 0
            below = rows[0][0]
        return 0

    def strays(self, size: int) -> list[Finding]:
        """Rows that lie outside of the log as its newest checkpoint has it."""
        with self._connection.snapshot():
            newest = self.newest()
            findings = []
            if newest < size:
                findings.append(Finding("head", f"checkpoints went while this was read: there were {size} entries"))
            self._known_terms = None
            for place, table, column, condition, parameters in self._outside(newest):
                statement = f"SELECT {column} FROM {table} WHERE {condition} LIMIT {_MOST_STRAYS}"  # noqa: S608  # constants of this file
                rows = self._rows(statement, parameters)
                findings += [Finding(place.format(*row), f"the log has {newest} entries") for row in rows]
            if self._terms_come_again:
                findings.append(Finding("index of terms", "a posting's term is no text"))
            return findings

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _is_signed(self, size: int, note: object) -> bool:
        try:
            return self._key is not None and self._key.open(_text(note)).size == size
        except NoteInvalid:
            return False

    def _outside(self, size: int) -> Iterator[tuple[str, str, str, str, tuple[object, ...]]]:
        """Place, table, column, condition and parameters of what no log of ``size`` has."""
        full = size // BLOCK
        for place, table in (("entry", "log_entries"), ("details", "log_details"), ("erased", "log_erased")):
            yield f"{place} {{}}", table, '"index"', '"index" < 0 OR "index" >= ?', (size,)
        yield "checkpoint {}", "log_checkpoints", "size", "size < 1 OR size > ?", (size,)
        yield "cosignature of checkpoint {}", "log_cosignatures", "size", "size < 1 OR size > ?", (size,)
        yield "tile {}/{}", "log_tiles", "level, tile", "level < 0 OR level > ?", (MAX_LEVEL,)
        for level in range(MAX_LEVEL + 1):
            tiles = size >> HEIGHT * (level + 1)
            yield "tile {}/{}", "log_tiles", "level, tile", "level = ? AND (tile < 0 OR tile >= ?)", (level, tiles)
        yield "index of block {}", "log_blocks", "block", "block < 0 OR block >= ?", (full,)
        yield "index of block {}", "log_terms", "block", "block < 0 OR block >= ?", (full,)
        for term in self._terms():
            outside = "term = CAST(? AS TEXT) AND (block < 0 OR block >= ?)"
            yield "index of block {}", "log_postings", "block", outside, (term, full)
        lookups = 'segment < 0 OR segment > ? OR (segment = ? AND "index" >= ?)'
        last = full * BLOCK // SEGMENT
        yield "index of entry {}", "log_lookups", '"index"', lookups, (last, last, full * BLOCK)

    def _tiles(self, first: int, end: int, findings: list[Finding]) -> dict[int, StoredTile]:
        rows = self._rows(_TILES, (first, end))
        tiles = {row[0]: StoredTile(_bytes(row[1]), _bytes(row[2])) for row in rows}
        findings += [Finding(f"tile 0/{tile}", "it is missing") for tile in range(first, end) if tile not in tiles]
        return tiles

    def _index(self, first: int, end: int, findings: list[Finding]) -> IndexRows:
        """The rows of the blocks that are full by ``end``."""
        begin, full = first // BLOCK, end // BLOCK
        blocks = {row[0]: (row[1], row[2]) for row in self._rows(_BLOCKS, (begin, full))}
        postings = {
            (_text(term), row[0]): _bytes(row[1])
            for term in self._terms()
            for row in self._rows(_POSTINGS, (term, begin, full))
        }
        first, end = begin * BLOCK, full * BLOCK
        segments = range(first // SEGMENT, -(-end // SEGMENT))
        astray = self._rows(_ASTRAY, (segments.start, segments.stop))
        findings += [Finding(f"index of entry {row[0]}", "a lookup leads to it from another segment") for row in astray]
        lookups = {segment: [row[0] for row in self._rows(_LOOKUPS, (segment, first, end))] for segment in segments}
        return IndexRows(blocks, postings, lookups)

    def _terms(self) -> list[object]:
        """Every term that a posting has, as the database gives it: from each to the next, by the table's order."""
        if self._known_terms is None:
            terms: dict[object, None] = {}
            term: object = ""
            while (found := self._rows(_NEXT_TERM, (term,))[0][0]) is not None and found not in terms:
                terms[term := found] = None
            # In SQLite a term may be bytes, which come after all texts; what comes after them are the texts again.
            self._terms_come_again = found is not None
            self._known_terms = list(terms)
        return self._known_terms


def _filled(rows: list[Row], first: int, end: int, place: str, findings: list[Finding]) -> list[bytes | None]:
    leaves: list[bytes | None] = [row[1] for row in rows]
    if [row[0] for row in rows] != list(range(first, end)) or not all(type(leaf) is bytes for leaf in leaves):
        by_index = {row[0]: row[1] for row in rows if type(row[1]) is bytes}
        leaves = [by_index.get(index) for index in range(first, end)]
        missing = (first + at for at, leaf in enumerate(leaves) if leaf is None)
        findings += [Finding(f"{place} {index}", "it is missing") for index in islice(missing, 100)]
        if len(rows) > end - first:
            findings.append(Finding(f"{place} {first}", "from here on, one of them is there twice"))
    return leaves


def _filled_details(rows: list[Row], first: int, end: int, findings: list[Finding]) -> list[Opened | None]:
    if [row[0] for row in rows] == list(range(first, end)):
        details: list[Opened | None] = [(row[1], row[2]) for row in rows]
    else:
        by_index = {row[0]: (row[1], row[2]) for row in rows}
        details = [by_index.get(index) for index in range(first, end)]
    for at, one in enumerate(details):
        if one is not None and (type(one[0]) is not bytes or type(one[1]) is not bytes):
            findings.append(Finding(f"details {first + at}", "it is not bytes"))
            details[at] = (b"", b"")
    return details


def _keys_table(*, closes: bool) -> str:
    return "log_closed_keys" if closes else "log_spent_keys"


def _integer(value: object) -> int:
    """An SQLite column may hold anything."""
    return value if type(value) is int else -1


def _bytes(value: object) -> bytes:
    return value if type(value) is bytes else b""


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


__all__ = ["Connection", "DatabaseReader", "SourceUnavailable"]
