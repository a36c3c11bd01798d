"""What a witness cosigned last of each log, in one SQLite file.

It is compared and replaced in one transaction, which is durable before the cosignature leaves: two requests at once, or
a crash between any two steps, never make two histories of one log. A file that is gone is not made again by itself: a
witness that forgot would cosign another history.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Self

from audit.checkpoint import Checkpoint
from audit.witness import NOTHING, Seen

BUSY_SECONDS = 4.0
MOST_KEPT = 1_000
"""Refused checkpoints of one log that are kept. Two of one size are kept always: the log proved that it lies."""

_COSIGNED_TABLE = (
    "CREATE TABLE cosigned (origin TEXT PRIMARY KEY, origin_hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, "
    "root BLOB NOT NULL, note TEXT NOT NULL)"
)
_REFUSED_TABLE = (
    "CREATE TABLE refused (origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, "
    "received_at INTEGER NOT NULL, PRIMARY KEY (origin, size, root))"
)
_COSIGNED = (
    "INSERT INTO cosigned (origin, origin_hash, size, root, note) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note"
)
_REFUSED = (
    "INSERT INTO refused (origin, size, root, note, received_at) SELECT ?, ?, ?, ?, ? "
    "WHERE ? OR (SELECT count(*) FROM refused WHERE origin = ?) < ? ON CONFLICT DO NOTHING"
)


class StateUnavailable(Exception):
    """What was cosigned last is not known: nothing is cosigned."""


class WitnessState:
    """The open file. The lock guards its one connection."""

    def __init__(self, path: Path, *, most_kept: int = MOST_KEPT) -> None:
        """Open a state that :meth:`create` made. Raises :class:`StateUnavailable`."""
        self._most_kept = most_kept
        self._lock = threading.Lock()
        with _translated():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            for statement in (
                "PRAGMA journal_mode=WAL",
                "PRAGMA synchronous=FULL",
                "SELECT size FROM cosigned LIMIT 1",
            ):
                self._connection.execute(statement)

    @classmethod
    def create(cls, path: Path) -> None:
        """Make an empty state. Raises :class:`FileExistsError`, or :class:`StateUnavailable`."""
        path.touch(mode=0o600, exist_ok=False)
        with _translated():
            connection = sqlite3.connect(path)
            for table in (_COSIGNED_TABLE, _REFUSED_TABLE):
                connection.execute(table)
            connection.close()

    @contextmanager
    def turn(self) -> Iterator[Self]:
        """Nobody else reads or writes; what was written is durable after the block, or nothing of it was written."""
        with self._lock, _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def seen(self, origin: str) -> Seen:
        """The tree of a log that was cosigned last. Within a turn."""
        row = self._connection.execute("SELECT size, root FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        return NOTHING if row is None else Seen(row[0], row[1])

    def cosigned(self, checkpoint: Checkpoint, note: str) -> None:
        """Replace it. ``note``: with the log's signatures and the witness's. Within a turn."""
        hashed = sha256(checkpoint.origin.encode()).hexdigest()
        self._connection.execute(_COSIGNED, (checkpoint.origin, hashed, checkpoint.size, checkpoint.root, note))

    def refused(self, checkpoint: Checkpoint, note: str, *, now: int, proven: bool) -> None:
        """Keep what a log signed and could not make follow from what was cosigned. Within a turn.

        ``proven``: by itself it contradicts what was cosigned.
        """
        bound = (proven, checkpoint.origin, self._most_kept)
        self._connection.execute(_REFUSED, (checkpoint.origin, checkpoint.size, checkpoint.root, note, now, *bound))

    def note(self, origin_hash: str) -> str | None:
        """The checkpoint that was cosigned last, by the hash of its origin. Raises :class:`StateUnavailable`."""
        with self._lock, _translated():
            row = self._connection.execute("SELECT note FROM cosigned WHERE origin_hash = ?", (origin_hash,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # The type alone: messages may quote values.
        raise StateUnavailable(type(error).__name__) from error
