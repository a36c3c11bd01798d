"""Rows that nobody would write end in a verdict: whoever writes them neither stops the verification nor misleads it."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from audit.blocks import lookup_key
from audit.checkpoint import Checkpoint, NoteSigner
from audit.log import Log
from audit.model import Append
from audit.replay.run import Options
from audit.sources.sqlite import SqliteConnection
from audit.store import open_store
from audit.verifier import MOST_OF_A_COMMIT
from audit.verify_database import verify_database
from tests.attacks.test_flipped_bits import Owner
from tests.audit.conftest import ORIGIN, migrate
from tests.audit.verified_log import SIZE, WITNESS, access, make_sample

pytestmark = pytest.mark.enable_socket

HIDDEN, BY = 80, 90_000
"""An entry whose detail somebody took away, and the one that is said to have erased it, which the log does not have."""


def hide(owner: Owner, *, index: int = HIDDEN, by: int = BY) -> None:
    owner.run('INSERT INTO log_erased ("index", by) VALUES (?, ?)', (index, by))
    owner.run('DELETE FROM log_details WHERE "index" = ?', (index,))
    remains = lookup_key("request_id", f"request-{index}")
    owner.run('DELETE FROM log_lookups WHERE "index" = ? AND key <> ?', (index, remains))


def by_a_stranger(size: int) -> str:
    return NoteSigner.generate(ORIGIN).sign(Checkpoint(ORIGIN, size, bytes(32)))


@pytest.mark.parametrize("note", ["no note", by_a_stranger(BY + 1)], ids=["junk", "another key's"])
def test_a_checkpoint_put_in_while_the_log_is_read_vouches_for_no_erasure(
    database_url: str, key: NoteSigner, note: str
) -> None:
    make_sample(database_url, key)
    with closing(Owner(database_url)) as owner:
        hide(owner)

        def progress(done: int, entries: int) -> None:
            if done == entries:
                owner.run("INSERT INTO log_checkpoints (size, frontier, note) VALUES (?, ?, ?)", (BY + 1, b"", note))

        verdict = verify_database(database_url, key.vkey, Options(progress=progress, processes=1))
    assert [str(finding) for finding in verdict.findings] == [
        f"erased {HIDDEN}: entry {BY}, which should say so, is not a retention run's",
        f"checkpoint {BY + 1}: the log has {SIZE} entries",
    ]


@pytest.mark.parametrize("by", [572, 573])
def test_a_run_whose_beginning_is_not_read_erases_nothing_after_its_end(
    tmp_path: Path, key: NoteSigner, by: int
) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    sample = make_sample(url, key)
    with closing(Owner(url)) as owner:
        hide(owner, index=400, by=by)
    verdict = verify_database(url, key.vkey, Options(since=sample.notes[300]))
    assert (verdict.first, [str(one) for one in verdict.findings]) == (
        256,
        [f"entry {by}: more details are marked as erased by it than it names"],
    )


def test_checkpoints_that_were_taken_out_are_missed_where_no_commit_has_so_many_entries(
    tmp_path: Path, key: NoteSigner
) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    size = MOST_OF_A_COMMIT + 1
    with closing(Log.open(open_store(url), key, origin=ORIGIN, max_queue=size, timeout=60)) as log:
        append_all(log, [access(number, grant=f"g{number}") for number in range(size)])
    assert verify_database(url, key.vkey).ok
    with closing(Owner(url)) as owner:
        kept = owner.rows("SELECT max(size) FROM log_checkpoints WHERE size < ?", (size // 2,))[0][0]
        owner.run("DELETE FROM log_checkpoints WHERE size NOT IN (?, ?)", (kept, size))
        # Fewer of them nothing in the log can tell from a commit that was larger.
        assert verify_database(url, key.vkey).ok
        owner.run("DELETE FROM log_checkpoints WHERE size = ?", (kept,))
    missing = "there is none between 0 and it, and no commit has so many entries: some are missing"
    assert [str(one) for one in verify_database(url, key.vkey).findings] == [f"checkpoint {size}: {missing}"]


def test_cosignatures_are_checked_and_missed_by_whoever_names_their_witness(tmp_path: Path, key: NoteSigner) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    sample = make_sample(url, key)
    named = Options(witnesses=(sample.witness,))
    with closing(Owner(url)) as owner:
        line = owner.rows("SELECT line FROM log_cosignatures WHERE size = ?", (SIZE,))[0][0]
        # A bit of the signature itself, well before its last character: other letters there are no base64 at all.
        owner.run("UPDATE log_cosignatures SET line = ? WHERE size = ?", (another_letter(line, -20), SIZE))
        changed = verify_database(url, key.vkey, named)
        assert next(one.place for one in changed.findings) == f"cosignature of '{WITNESS}' of checkpoint {SIZE}"
        unnamed = verify_database(url, key.vkey)
        assert (unnamed.ok, len(unnamed.unchecked)) == (True, 1)
        assert "are of witnesses whose keys were not given" in unnamed.unchecked[0]
        owner.run("DELETE FROM log_cosignatures")
    assert verify_database(url, key.vkey).ok
    assert [one.place for one in verify_database(url, key.vkey, named).findings] == [f"witness '{WITNESS}'"]


def test_no_writer_commits_as_many_entries_as_may_lie_between_checkpoints() -> None:
    assert Log.open.__kwdefaults__["max_batch"] * 8 <= MOST_OF_A_COMMIT


def another_letter(line: str, at: int) -> str:
    return line[:at] + ("B" if line[at] == "A" else "A") + line[at + 1 :]


def append_all(log: Log, appends: Sequence[Append]) -> None:
    async def append() -> None:
        await asyncio.gather(*(log.append(one) for one in appends))

    asyncio.run(append())


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("INSERT INTO log_spent_keys (rowid, key, \"index\") VALUES (9223372036854775806, 'x', 70)", "key at entry 70"),
        (
            "INSERT INTO log_closed_keys (rowid, key, \"index\") VALUES (9223372036854775807, 'x', 70)",
            "key at entry 70",
        ),
        (
            "INSERT INTO log_spent_keys (rowid, key, \"index\") VALUES (-9223372036854775808, 'x', 70)",
            "key at entry 70",
        ),
        ("INSERT INTO log_postings (term, block, entries) VALUES (x'61', 9000, x'')", "index of terms"),
        ("INSERT INTO log_terms (term, block) VALUES ('kind=unheard_of', 9000)", "index of block 9000"),
    ],
    ids=["the last row", "the very last row", "the first row", "a term of bytes", "a term beyond the log"],
)
def test_a_row_as_no_log_has_one_is_a_finding(tmp_path: Path, key: NoteSigner, statement: str, place: str) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    make_sample(url, key)
    with closing(Owner(url)) as owner:
        owner.run(statement)
    verdict = verify_database(url, key.vkey)
    assert [finding.place for finding in verdict.findings] == [place]


@pytest.mark.parametrize(
    "rowids",
    [range(1, 12), range(-3, 8), [1, 2, 3, 2**62, 2**63 - 1], [-(2**63), 0, 9]],
    ids=["dense", "0", "far", "wide"],
)
def test_slices_are_no_more_than_the_rows_make_and_leave_none_out(tmp_path: Path, rowids: Sequence[int]) -> None:
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    migrate(url)
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as connection:
        rows = [(rowid, str(rowid), 0) for rowid in rowids]
        connection.executemany('INSERT INTO log_spent_keys (rowid, key, "index") VALUES (?, ?, ?)', rows)
        connection.commit()
    with closing(SqliteConnection(str(tmp_path / "log.sqlite"))) as reader:
        slices = reader.slices("log_spent_keys", 2)
        found = [row for first, end in slices for row in reader.slice("log_spent_keys", "rowid", first, end)]
    assert found == [(rowid,) for rowid in rowids]
    assert len(slices) == (len(rowids) - 1) // 2 + 1
    assert all(before[1] == after[0] for before, after in pairwise(slices))
