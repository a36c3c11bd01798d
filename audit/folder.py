"""A log, or the end of one, written as files: what a web server publishes and what an archive keeps."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from audit.layout import CHECKPOINT, HEIGHT, WIDTH, TilePath, bundle_of, tiles_of
from audit.model import LogBroken
from audit.sources.files import CHECKPOINTS, ERASED, VERIFIER_KEY, chunks_of, details_path, lines_of
from audit.store import Session
from audit.tiles import StoredNodes

Target = Callable[[str, Iterable[bytes]], None]
"""Takes the path of a file and its content chunk by chunk, all of it before the next file."""

_Records: TypeAlias = Generator[dict[str, object], None, None]

_ENTRIES = (
    'SELECT e."index", e.leaf, d.salt, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
    'WHERE e."index" >= ? AND e."index" < ? ORDER BY e."index"'
)


def write_log_files(
    session: Session, target: Target, *, size: int, first: int = 0, vkey: str | None = None
) -> list[str]:
    """Write the log up to the signed checkpoint of ``size``; returns the paths, the checkpoint's last.

    ``first``: an entry; entries and details before its bundle are left out, as are the tiles of hashes that neither
    they nor the frontier before them need. Files are given one by one, and lists that may have a line for each entry
    a chunk at a time: memory does not grow with the log. Raises :class:`LogBroken` when there is no such checkpoint or
    an entry is missing, ``StoreError``, and ``LayoutInvalid`` for an entry that no bundle can hold.
    """
    boundary = first - first % WIDTH
    note = _note(session, size)
    written: list[str] = []

    def write(path: str, content: Iterable[bytes]) -> None:
        target(path, content)
        written.append(path)

    for path, content in _files(session, size, boundary):
        write(path, [content])
    lists = ((CHECKPOINTS, _checkpoints(session, size, boundary)), (ERASED, _erased(session, size, boundary)))
    for path, records in lists:
        # A target that fails leaves nothing open in the session.
        with closing(records):
            write(path, chunks_of(records))
    if vkey is not None:
        write(VERIFIER_KEY, [f"{vkey}\n".encode()])
    write(CHECKPOINT, [note.encode()])
    return written


def _files(session: Session, size: int, boundary: int) -> Iterator[tuple[str, bytes]]:
    """Tiles and bundles; none is larger than its 256 entries."""
    nodes = StoredNodes(session, size)
    for path in tiles_of(size):
        if path.level == "entries":
            if path.first >= boundary:
                yield from _bundle(session, path)
        elif path.first + WIDTH > boundary >> HEIGHT * path.level:
            yield str(path), _tile(session, nodes, path)


def _bundle(session: Session, path: TilePath) -> Iterator[tuple[str, bytes]]:
    end = path.first + path.width
    rows = session.rows(_ENTRIES, (path.first, end))
    if [row[0] for row in rows] != list(range(path.first, end)):
        raise LogBroken(f"an entry from {path.first} to {end} is missing; find out with 'accord audit verify'")
    yield str(path), bundle_of([bytes(row[1]) for row in rows])
    details = (
        {"index": row[0], "salt": bytes(row[2]).hex(), "detail": bytes(row[3]).decode(errors="replace")}
        for row in rows
        if row[3] is not None
    )
    yield details_path(path.number, path.width), lines_of(details)


def _tile(session: Session, nodes: StoredNodes, path: TilePath) -> bytes:
    level = int(path.level)
    if path.width == WIDTH:
        rows = session.rows("SELECT hashes FROM log_tiles WHERE level = ? AND tile = ?", (level, path.number))
        if not rows:
            raise LogBroken(f"tile {level}/{path.number} is missing; find out with 'accord audit verify'")
        return bytes(rows[0][0])
    return b"".join(nodes.node(HEIGHT * level, path.first + at) for at in range(path.width))


def _note(session: Session, size: int) -> str:
    rows = session.rows("SELECT note FROM log_checkpoints WHERE size = ?", (size,))
    if not rows:
        raise LogBroken(f"there is no checkpoint of {size} entries")
    lines = session.rows("SELECT line FROM log_cosignatures WHERE size = ? ORDER BY witness", (size,))
    return str(rows[0][0]) + "".join(f"{str(row[0]).rstrip()}\n" for row in lines)


def _checkpoints(session: Session, size: int, boundary: int) -> _Records:
    statement = "SELECT size, note FROM log_checkpoints WHERE size > 0 AND size >= ? AND size <= ? ORDER BY size"
    for row in session.stream(statement, (boundary, size)):
        yield {"size": row[0], "note": row[1]}


def _erased(session: Session, size: int, boundary: int) -> _Records:
    statement = 'SELECT "index", by FROM log_erased WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
    for row in session.stream(statement, (boundary, size)):
        yield {"index": row[0], "by": row[1]}


__all__ = ["Target", "write_log_files"]
