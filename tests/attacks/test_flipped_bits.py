"""Whoever may write where the log is kept changes it: one bit anywhere, rows put in, taken out, exchanged, a rollback.

The database's own guards are taken away first, as whoever owns it can.
"""

# ruff: noqa: S608  # statements of this file, on a database of its own

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psycopg
import pytest

from audit.checkpoint import NoteSigner
from audit.merkle import leaf_hash, node_hash
from audit.replay.run import Options, verify
from audit.sources.folder import FolderSource
from audit.verifier import Finding, Verdict
from audit.verify_database import verify_database
from tests.audit.conftest import migrate
from tests.audit.verified_log import ERASED, SIZE, Sample, make_sample
from tests.postgres import postgresql_database

pytestmark = pytest.mark.enable_socket

FLIPS = 3
"""Of each column, on each engine."""
FULL = 512
"""Entries that tiles cover, which name them to the entry; the last ones are named between two checkpoints."""


class Owner:
    """A connection that nothing stops. Statements are of this file."""

    def __init__(self, url: str) -> None:
        self.sqlite = url.startswith("sqlite")
        self._connection: Any = (
            sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            if self.sqlite
            else psycopg.connect(url, autocommit=True)
        )
        if self.sqlite:
            for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                self.run(f'DROP TRIGGER "{name}"')
        else:
            for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE starts_with(tablename, 'log_')"):
                self.run(f'ALTER TABLE "{name}" DISABLE TRIGGER ALL')

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        self._connection.execute(statement if self.sqlite else statement.replace("?", "%s"), parameters)

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        found = self._connection.execute(statement if self.sqlite else statement.replace("?", "%s"), parameters)
        return [tuple(row) for row in found.fetchall()]

    def close(self) -> None:
        self._connection.close()


class Log(NamedTuple):
    sample: Sample
    owner: Owner

    def verdict(self, **options: Any) -> Verdict:
        return verify_database(self.sample.url, self.sample.vkey, Options(witnesses=(self.sample.witness,), **options))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    key = NoteSigner.generate("accord.example/log")
    if request.param == "sqlite":
        yield from _log(f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}", key)
        return
    with postgresql_database() as url:
        yield from _log(url, key)


def _log(url: str, key: NoteSigner) -> Iterator[Log]:
    migrate(url)
    sample = make_sample(url, key)
    with closing(Owner(url)) as owner:
        found = Log(sample, owner)
        assert found.verdict().ok, found.verdict().findings
        yield found
        # Whatever was done was undone: what was found was what was done.
        assert found.verdict().ok, found.verdict().findings


class Column(NamedTuple):
    """A column, the key of its table, and where a change in a row should be found."""

    table: str
    key: tuple[str, ...]
    name: str
    place: Callable[[dict[str, Any]], str]


def _entry(row: dict[str, Any]) -> str:
    return f"entry {row['index']}" if row["index"] < FULL else "entries"


COLUMNS = [
    Column("log_entries", ("index",), "leaf", _entry),
    Column("log_entries", ("index",), "index", lambda row: f"entry {row['index']}: it is missing"),
    Column("log_details", ("index",), "salt", lambda row: f"details {row['index']}"),
    Column("log_details", ("index",), "detail", lambda row: f"details {row['index']}"),
    Column("log_details", ("index",), "index", lambda row: f"details {row['index']}: it is missing"),
    Column("log_tiles", ("level", "tile"), "hashes", lambda row: f"tile {row['level']}/{row['tile']}"),
    Column("log_tiles", ("level", "tile"), "root", lambda row: f"tile {row['level']}/{row['tile']}"),
    Column("log_tiles", ("level", "tile"), "level", lambda row: f"tile {row['level']}/{row['tile']}: it is missing"),
    Column("log_tiles", ("level", "tile"), "tile", lambda row: f"tile {row['level']}/{row['tile']}: it is missing"),
    Column("log_checkpoints", ("size",), "note", lambda row: f"checkpoint {row['size']}"),
    Column("log_checkpoints", ("size",), "frontier", lambda row: f"checkpoint {row['size']}"),
    Column("log_checkpoints", ("size",), "size", lambda row: "head" if row["size"] == SIZE else "checkpoint"),
    Column("log_cosignatures", ("size", "witness"), "line", lambda row: f"checkpoint {row['size']}"),
    Column("log_cosignatures", ("size", "witness"), "witness", lambda row: f"checkpoint {row['size']}"),
    Column("log_cosignatures", ("size", "witness"), "size", lambda _: "cosignature of"),
    Column("log_spent_keys", ("key",), "key", lambda row: f"key at entry {row['index']}"),
    Column("log_spent_keys", ("key",), "index", lambda row: f"key at entry {row['index']}"),
    Column("log_closed_keys", ("key",), "key", lambda row: f"key at entry {row['index']}"),
    Column("log_closed_keys", ("key",), "index", lambda row: "entry"),
    Column("log_erased", ("index",), "index", lambda row: f"details {row['index']}"),
    Column("log_erased", ("index",), "by", lambda row: f"entry {row['by']}"),
    Column("log_blocks", ("block",), "block", lambda row: f"index of block {row['block']}"),
    Column("log_blocks", ("block",), "first_time", lambda row: f"index of block {row['block']}"),
    Column("log_blocks", ("block",), "last_time", lambda row: f"index of block {row['block']}"),
    Column("log_postings", ("term", "block"), "entries", lambda row: f"index of block {row['block']}"),
    Column("log_postings", ("term", "block"), "term", lambda row: f"index of block {row['block']}"),
    Column("log_postings", ("term", "block"), "block", lambda row: f"index of block {row['block']}"),
    Column("log_terms", ("term",), "term", lambda row: f"index of block {row['block']}"),
    Column("log_terms", ("term",), "block", lambda row: f"index of block {row['block']}"),
    Column("log_lookups", ("segment", "key", "index"), "key", lambda row: f"index of entry {row['index']}"),
    Column("log_lookups", ("segment", "key", "index"), "index", lambda row: f"index of entry {row['index']}"),
    Column("log_lookups", ("segment", "key", "index"), "segment", lambda row: f"index of entry {row['index']}"),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: f"{column.table}.{column.name}")
def test_any_flipped_bit_in_the_database_is_found_where_it_is(log: Log, column: Column) -> None:
    random = Random(f"{column.table}.{column.name}")  # noqa: S311  # the same bits each time
    for _ in range(FLIPS):
        _flip_one(log, column, random)


def _flip_one(log: Log, column: Column, random: Random) -> None:
    names = [name for (name,) in log.owner.rows(_COLUMNS_OF[log.owner.sqlite], (column.table,))]
    rows = log.owner.rows(f"SELECT {_listed(names)} FROM {column.table} ORDER BY {_listed(column.key)}")
    row = dict(zip(names, random.choice(rows), strict=True))
    flipped = _flipped_row(log.owner, column, row, random)
    try:
        findings = [str(finding) for finding in log.verdict().findings]
        assert any(column.place(row) in finding for finding in findings), (row, flipped[column.name], findings)
    finally:
        _set(log.owner, column, flipped, row[column.name])


def _flipped_row(owner: Owner, column: Column, row: dict[str, Any], random: Random) -> dict[str, Any]:
    """One bit is another one now; of several that the database does not take, the first that it does.

    SQLite takes texts that are no UTF-8.
    """
    while True:
        value = _flipped(row[column.name], random)
        try:
            if isinstance(row[column.name], str) and not owner.sqlite:
                value = value.decode()  # type: ignore[attr-defined]  # the bytes of a text
            _set(owner, column, row, value)
        except (sqlite3.IntegrityError, psycopg.Error, UnicodeError):
            continue
        return row | {column.name: value}


TEXTS = {"note", "line", "witness", "term"}


def _is_text(column: Column) -> bool:
    return column.name in TEXTS or (column.name == "key" and column.table != "log_lookups")


def _set(owner: Owner, column: Column, row: dict[str, Any], value: object) -> None:
    mark = "CAST(? AS TEXT)" if owner.sqlite and _is_text(column) else "?"
    where = " AND ".join(f'"{name}" = {mark if name == column.name else "?"}' for name in column.key)
    keys = [row[name] for name in column.key]
    owner.run(f'UPDATE {column.table} SET "{column.name}" = {mark} WHERE {where}', (value, *keys))


def _flipped(value: Any, random: Random) -> object:
    if isinstance(value, int):
        return value ^ 1 << random.randrange(40)
    raw = bytearray(value if isinstance(value, bytes | memoryview) else value.encode())
    raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    return bytes(raw)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


_COLUMNS_OF = {
    True: "SELECT name FROM pragma_table_info(?)",
    False: "SELECT column_name FROM information_schema.columns WHERE table_name = ?",
}

DONE_AND_UNDONE: list[tuple[str, str]] = [
    ("entry 70: it is missing", 'log_entries WHERE "index" = 70'),
    (f"the log has {SIZE - 1}", f'log_entries WHERE "index" = {SIZE - 1}'),
    ("details 70: it is missing", 'log_details WHERE "index" = 70'),
    ("tile 0/1: it is missing", "log_tiles WHERE tile = 1"),
    ("key at entry 70", 'log_spent_keys WHERE "index" = 70'),
    ("key at entry 561", 'log_closed_keys WHERE "index" = 561'),
    (f"details {ERASED[1]}: it is missing", f'log_erased WHERE "index" = {ERASED[1]}'),
    ("index of block 1", "log_blocks WHERE block = 1"),
    ("index of block 1", "log_postings WHERE block = 1 AND term = 'recipient=21990000000003'"),
    ("index of block 0", "log_terms WHERE term = 'dataset=rsa'"),
    ("index of entry 70", 'log_lookups WHERE "index" = 70'),
]


@pytest.mark.parametrize(("place", "taken"), DONE_AND_UNDONE, ids=lambda value: str(value).replace(" ", "-"))
def test_a_row_that_was_taken_out_is_found(log: Log, place: str, taken: str) -> None:
    table = taken.partition(" ")[0]
    rows = log.owner.rows(f"SELECT * FROM {taken}")
    assert rows
    log.owner.run(f"DELETE FROM {taken}")
    try:
        assert _is_found(log, place)
    finally:
        for row in rows:
            log.owner.run(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)


@pytest.mark.parametrize(
    ("place", "put", "values"),
    [
        (f"entry {SIZE}", "log_entries", (SIZE, b"{}")),
        ("entry -4", "log_entries", (-4, b"{}")),
        (f"details {SIZE + 9}", "log_details", (SIZE + 9, b"", b"{}")),
        (f"details {ERASED[1]}: it is still there", "log_details", (ERASED[1], b"s", b"{}")),
        ("tile 0/2", "log_tiles", (0, 2, b"", b"")),
        ("tile 3/0", "log_tiles", (3, 0, b"", b"")),
        ("key at entry 5000", "log_spent_keys", ("dpop:x", 5000)),
        ("key at entry 70", "log_spent_keys", ("dpop:x", 70)),
        ("key at entry -1", "log_closed_keys", ("grant:x", -1)),
        ("entry 71: an access after", "log_closed_keys", ("grant:g14", 3)),
        ("details 70: it is still there", "log_erased", (70, 572)),
        ("erased 5000", "log_erased", (5000, 572)),
        ("cosignature of checkpoint 9000", "log_cosignatures", (9000, "witness.example/w", "x")),
        ("checkpoint 0", "log_checkpoints", (0, b"", "")),
        ("index of block 2", "log_blocks", (2, 0, 0)),
        ("index of block 2", "log_postings", ("kind=access", 2, b"\x01" * 32)),
        ("index of block 1", "log_postings", ("kind=unheard_of", 1, b"\x01" * 32)),
        ("index of block 1", "log_terms", ("kind=unheard_of", 1)),
        ("index of block 9000", "log_terms", ("kind=unheard_of", 9000)),
        ("checkpoint 9000", "log_checkpoints", (9000, b"", "")),
        ("index of entry 70", "log_lookups", (0, 12, 70)),
        ("index of entry 9000", "log_lookups", (0, 12, 9000)),
        ("index of entry 520", "log_lookups", (0, 12, 520)),
    ],
    ids=str,
)
def test_a_row_that_was_put_in_is_found(log: Log, place: str, put: str, values: tuple[object, ...]) -> None:
    log.owner.run(f"INSERT INTO {put} VALUES ({','.join('?' * len(values))})", values)
    try:
        assert _is_found(log, place)
    finally:
        # A tile's key is two numbers; for the others nothing else begins with these values.
        names = [name for (name,) in log.owner.rows(_COLUMNS_OF[log.owner.sqlite], (put,))]
        where = " AND ".join(f'"{name}" = ?' for name in names)
        log.owner.run(f"DELETE FROM {put} WHERE {where}", values)


def _is_found(log: Log, place: str) -> bool:
    findings = [str(finding) for finding in log.verdict().findings]
    assert any(place in finding for finding in findings), findings
    return True


def test_two_entries_that_changed_places_are_found(log: Log) -> None:
    def exchange() -> None:
        for table in ("log_entries", "log_details"):
            for before, after in ((70, -70), (71, 70), (-70, 71)):
                log.owner.run(f'UPDATE {table} SET "index" = ? WHERE "index" = ?', (after, before))

    exchange()
    try:
        found = {finding.place for finding in log.verdict().findings}
        assert {"entry 70", "entry 71"} <= found
    finally:
        exchange()


def test_an_index_that_hides_an_entry_is_found(log: Log) -> None:
    posting = "term = 'recipient=21990000000001' AND block = 0"
    ((bits,),) = log.owner.rows(f"SELECT entries FROM log_postings WHERE {posting}")
    hidden = int.from_bytes(bits, "little") & ~(1 << 71)
    log.owner.run(f"UPDATE log_postings SET entries = ? WHERE {posting}", (hidden.to_bytes(32, "little"),))
    try:
        expected = "the posting of 'recipient=21990000000001' is wrong about entry 71"
        assert Finding("index of block 0", expected) in log.verdict().findings
    finally:
        log.owner.run(f"UPDATE log_postings SET entries = ? WHERE {posting}", (bytes(bits),))


def test_a_detail_that_was_deleted_without_a_retention_run_is_found(log: Log) -> None:
    """The row that lets the trigger pass is not enough: an entry must say so."""
    row = log.owner.rows('SELECT * FROM log_details WHERE "index" = 80')[0]
    log.owner.run('INSERT INTO log_erased ("index", by) VALUES (80, 81)')
    log.owner.run('DELETE FROM log_details WHERE "index" = 80')
    try:
        assert _is_found(log, "entry 81, which should say so, is not a retention run's")
        log.owner.run('UPDATE log_erased SET by = 572 WHERE "index" = 80')
        assert _is_found(log, "entry 572: the details that are marked as erased by it are not those that it names")
        log.owner.run('UPDATE log_erased SET by = 90000 WHERE "index" = 80')
        assert _is_found(log, "entry 90000, which should say so, is not a retention run's")
    finally:
        log.owner.run('DELETE FROM log_erased WHERE "index" = 80')
        log.owner.run("INSERT INTO log_details VALUES (?, ?, ?)", row)


def test_a_rollback_is_found_by_whoever_kept_a_later_checkpoint(log: Log, tmp_path: Path) -> None:
    before, size = log.sample.sizes[-3], log.sample.sizes[-2]
    gone = {
        table: log.owner.rows(f'SELECT * FROM {table} WHERE "{column}" >= ?', (before + (column == "size"),))
        for table, column in _GROWN
    }
    for table, column in _GROWN:
        log.owner.run(f'DELETE FROM {table} WHERE "{column}" >= ?', (before + (column == "size"),))
    try:
        # The log is sound in itself: nothing but what others kept says that there was more of it.
        assert _problems(log.verdict()) == []
        later = log.verdict(since=log.sample.notes[size]).findings
        assert [finding.place for finding in later] == [f"checkpoint {size}, as given"]
        assert f"has only {before} entries" in later[0].problem
        line = gone["log_cosignatures"][-1]
        log.owner.run("INSERT INTO log_cosignatures VALUES (?, ?, ?)", line)
        assert _is_found(log, f"cosignature of checkpoint {line[0]}")
        log.owner.run("DELETE FROM log_cosignatures WHERE size = ?", (line[0],))
    finally:
        for table, rows in gone.items():
            for row in rows:
                log.owner.run(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)


_GROWN = (
    ("log_entries", "index"),
    ("log_details", "index"),
    ("log_spent_keys", "index"),
    ("log_closed_keys", "index"),
    ("log_checkpoints", "size"),
    ("log_cosignatures", "size"),
)


def _problems(verdict: Verdict) -> list[str]:
    return [str(finding) for finding in verdict.findings]


def test_a_log_made_anew_with_the_same_entries_but_one_is_found(log: Log) -> None:
    """An owner without the log's key makes the tree again: no checkpoint fits any more."""
    ((leaf,),) = log.owner.rows('SELECT leaf FROM log_entries WHERE "index" = 5')
    changed = bytes(leaf).replace(b"request-5", b"request-6")
    ((hashes, root),) = log.owner.rows("SELECT hashes, root FROM log_tiles WHERE level = 0 AND tile = 0")
    made = bytearray(hashes)
    made[5 * 32 : 6 * 32] = leaf_hash(changed)
    row = [bytes(made[at : at + 32]) for at in range(0, len(made), 32)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    log.owner.run('UPDATE log_entries SET leaf = ? WHERE "index" = 5', (changed,))
    log.owner.run("UPDATE log_tiles SET hashes = ?, root = ? WHERE level = 0 AND tile = 0", (bytes(made), row[0]))
    after = next(size for size in log.sample.sizes if size > 5)
    before = max(size for size in log.sample.sizes if size <= 5)
    changed_among = f"something was changed among entries {before} to {after - 1}"
    try:
        assert _is_found(log, f"checkpoint {after}: the entries lead to another root: {changed_among}")
    finally:
        log.owner.run('UPDATE log_entries SET leaf = ? WHERE "index" = 5', (leaf,))
        log.owner.run("UPDATE log_tiles SET hashes = ?, root = ? WHERE level = 0 AND tile = 0", (hashes, root))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    url = f"sqlite:///{tmp_path_factory.mktemp('files') / 'log.sqlite'}"
    migrate(url)
    return make_sample(url, NoteSigner.generate("accord.example/log"))


@pytest.mark.parametrize("first", [0, 256], ids=["whole", "partial"])
def test_any_flipped_bit_in_any_file_is_found(files: Sample, tmp_path: Path, first: int) -> None:
    random = Random(first)  # noqa: S311  # the same bits each time
    paths = files.write(tmp_path, first=first)
    options = Options(witnesses=(files.witness,))
    assert verify(FolderSource(tmp_path), files.vkey, options).ok
    for path in paths:
        content = (tmp_path / path).read_bytes()
        for _ in range(6 if content else 0):
            changed = bytearray(content)
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
            (tmp_path / path).write_bytes(changed)
            found = verify(FolderSource(tmp_path), files.vkey, options)
            assert any(_names(finding, path) for finding in found.findings), (path, found.findings)
        (tmp_path / path).write_bytes(content)
    assert verify(FolderSource(tmp_path), files.vkey, options).ok


def _names(finding: Finding, path: str) -> bool:
    """Whether a finding leads to a file. Entries are named as entries, whose files their numbers give."""
    places = {
        "checkpoint": ("checkpoint",),
        "checkpoints.jsonl": ("checkpoint",),
        "erased.jsonl": ("erased", "details", "entry 572", "entry 573"),
        "log.vkey": ("log.vkey",),
        "details": ("details",),
        "tile/entries": ("entry", "tile", "checkpoint", "details"),
        "tile/": ("tile",),
    }
    named = next(named for begin, named in places.items() if path.startswith(begin))
    return finding.place.startswith(named) or "in the tiles of hashes" in finding.problem
