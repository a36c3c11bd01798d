"""A head that another process wrote is signed again only where it goes on from what is known, under the log's key."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing

import pytest

from audit.checkpoint import Checkpoint, NoteSigner
from audit.log import Log
from audit.merkle import Growth, leaf_hash, root_of
from audit.model import Append, LogBroken
from audit.store import open_store
from tests.audit.conftest import ORIGIN
from tests.audit.tampering import tamper

pytestmark = pytest.mark.enable_socket

TABLES = ("log_entries", "log_details", "log_checkpoints")


def entry(number: int) -> Append:
    return Append({"v": 1, "kind": "access", "request_id": str(number)}, {"citizen": "hers"})


@pytest.fixture
def log(database_url: str, key: NoteSigner) -> Iterator[Log]:
    with closing(opened(database_url, key)) as log:
        yield log


def opened(url: str, key: NoteSigner) -> Log:
    return Log.open(open_store(url), key, origin=ORIGIN, timeout=30)


def take_away(url: str, *, from_index: int) -> None:
    """Entries and checkpoints alike, so that what is left agrees with itself."""
    for table in TABLES:
        column, first = ("size", from_index + 1) if table == "log_checkpoints" else ('"index"', from_index)
        tamper(url, f"DELETE FROM {table} WHERE {column} >= ?", (first,))  # noqa: S608  # tables of this file


def rewrite(url: str, note_of: NoteSigner | None) -> None:
    """Change entry 1, and put a head over the changed tree; ``note_of``: whoever signs it, or nobody."""
    tamper(url, """UPDATE log_entries SET leaf = ? WHERE "index" = 1""", (b'{"kind":"access","request_id":"forged"}',))
    with closing(open_store(url)) as store, store.reading() as session:
        leaves = [leaf_hash(bytes(leaf)) for (leaf,) in session.rows('SELECT leaf FROM log_entries ORDER BY "index"')]
    growth = Growth(0, (), leaves)
    root = root_of(growth.frontier)
    note = (
        f"{ORIGIN}\n{len(leaves)}\n{b64encode(root).decode()}\n\n\u2014 x AAAA\n"
        if note_of is None
        else note_of.sign(Checkpoint(ORIGIN, len(leaves), root))
    )
    tamper(url, "DELETE FROM log_checkpoints", ())
    row = (len(leaves), b"".join(growth.frontier), note)
    tamper(url, "INSERT INTO log_checkpoints (size, frontier, note) VALUES (?, ?, ?)", row)


@pytest.mark.parametrize("signer", [None, NoteSigner.generate(ORIGIN)], ids=["nobody", "another key of that name"])
def test_a_rewritten_history_is_not_signed(
    log: Log, database_url: str, key: NoteSigner, signer: NoteSigner | None
) -> None:
    with closing(opened(database_url, key)) as other:
        for number in range(3):
            log.append_blocking(entry(number))
        rewrite(database_url, signer)
        # To the one that wrote them the tree is another; the other knows an older head only.
        for writer in (log, other):
            with pytest.raises(LogBroken, match=r"not signed|does not go on"):
                writer.append_blocking(entry(9))
            assert not writer.is_open
    with pytest.raises(LogBroken, match="not signed"):
        opened(database_url, key)


def test_entries_taken_away_under_a_running_writer_stop_it(log: Log, database_url: str, key: NoteSigner) -> None:
    for number in range(6):
        log.append_blocking(entry(number))
    take_away(database_url, from_index=3)
    with pytest.raises(LogBroken, match=r"does not go on.*restore the newest sound copy"):
        log.append_blocking(entry(9))
    assert not log.is_open


def test_an_older_copy_that_grew_as_long_again_stops_the_writer_that_knew_more(
    log: Log, database_url: str, key: NoteSigner
) -> None:
    for number in range(6):
        log.append_blocking(entry(number))
    take_away(database_url, from_index=3)
    with closing(opened(database_url, key)) as other:
        for number in range(3):
            other.append_blocking(entry(100 + number))
    with pytest.raises(LogBroken, match="does not go on"):
        log.append_blocking(entry(9))


def test_writers_that_take_turns_believe_each_other(log: Log, database_url: str, key: NoteSigner) -> None:
    with closing(opened(database_url, key)) as other:
        indexes = [writer.append_blocking(entry(0)).index for _ in range(200) for writer in (log, other)]
    assert indexes == list(range(400))
