"""Whether an export is whole, and at which signed head of the log it was made.

What this proves: the content is the one that the manifest describes, record for record, and the log signed the head
that the manifest names. What it does not: the manifest itself is not signed. That an entry is in the log is proved
by its leaf (JSON Lines has it) and its inclusion proof; that this export is the one that was handed out, by the
hash of its manifest where that was logged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import SEEK_SET
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

from audit.checkpoint import NoteInvalid, NoteVerifier
from audit.exports.columns import Format
from audit.exports.manifest import MAX_MANIFEST_BYTES, ExportInvalid, Manifest
from audit.package_check import UNREADABLE

_MANIFEST = "manifest.json"
_CHUNK_BYTES = 65_536
_MAX_READ_BYTES = 1_048_576
_QUOTE, _NEWLINE = b'"', b"\n"


def verify_export(source: Path | str | BinaryIO, vkey: str) -> Manifest:
    """The manifest of an export that is whole and names a head that ``vkey`` signed.

    ``source``: a path, or a file that can be read and sought. Raises :class:`ExportInvalid`;
    :class:`audit.checkpoint.NoteInvalid` when ``vkey`` is not one;
    :class:`audit.exports.parquet.ParquetUnavailable`; ``OSError`` when the path cannot be opened. Memory does not grow
    with the export.
    """
    verifier = NoteVerifier(vkey)
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return _verify(file, verifier)
    return _verify(source, verifier)


def _verify(file: BinaryIO, verifier: NoteVerifier) -> Manifest:
    """1. the members, 2. the manifest, 3. its checkpoint, 4. the content."""
    with _readable(), ZipFile(_Bounded(file)) as archive:
        # 1.
        names = archive.namelist()
        if len(names) != 2 or names[1] != _MANIFEST:  # noqa: PLR2004  # content, manifest
            raise ExportInvalid("an export has a content and a manifest")
        # 2.
        with archive.open(_MANIFEST) as member:
            manifest = Manifest.from_json(member.read(MAX_MANIFEST_BYTES + 1))
        if names[0] != f"accesses.{manifest.format}":
            raise ExportInvalid("the content is of another format than the manifest says")
        # 3.
        _check_checkpoint(manifest, verifier)
        # 4.
        _check_content(manifest, archive, names[0])
        return manifest


def _check_checkpoint(manifest: Manifest, verifier: NoteVerifier) -> None:
    try:
        checkpoint = verifier.open(manifest.checkpoint)
    except NoteInvalid as error:
        raise ExportInvalid(f"the checkpoint of the manifest: {error}") from None
    if manifest.last_index is not None and manifest.last_index >= checkpoint.size:
        raise ExportInvalid("a record lies beyond the checkpoint")


def _check_content(manifest: Manifest, archive: ZipFile, name: str) -> None:
    digest, counter = sha256(), _counter(manifest.format)
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK_BYTES):
            digest.update(chunk)
            if counter is not None:
                counter.feed(chunk)
    if digest.hexdigest() != manifest.sha256:
        raise ExportInvalid("the content is not the one that was hashed")
    if manifest.count != (_parquet_rows(archive, name) if counter is None else counter.rows):
        raise ExportInvalid("the content has another number of records than the manifest says")


def _parquet_rows(archive: ZipFile, name: str) -> int:
    from audit.exports.parquet import parquet_rows  # noqa: PLC0415  # text is verified without what Parquet needs

    with archive.open(name) as member:
        return parquet_rows(member)


class _Lines:
    """Rows of JSON Lines."""

    rows = 0

    def feed(self, chunk: bytes) -> None:
        self.rows += chunk.count(_NEWLINE)


class _Rows:
    """Rows of a CSV below its header: a newline between quotes (RFC 4180, 2.6) ends none."""

    def __init__(self) -> None:
        self.rows = -1
        self._quoted = False

    def feed(self, chunk: bytes) -> None:
        for number, part in enumerate(chunk.split(_QUOTE)):
            # Each quote opens or closes; one that is doubled does both.
            self._quoted ^= number > 0
            if not self._quoted:
                self.rows += part.count(_NEWLINE)


def _counter(content: Format) -> _Lines | _Rows | None:
    """What counts the rows of a text as it goes by. Parquet says its own."""
    if content == "parquet":
        return None
    return _Rows() if content == "csv" else _Lines()


class _Bounded:
    """A file of which no one reads much at once: a directory that claims gigabytes comes short, and is refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = _MAX_READ_BYTES if size is None or size < 0 else size
        return self._file.read(min(wanted, _MAX_READ_BYTES))

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


@contextmanager
def _readable() -> Iterator[None]:
    """Bytes that cannot be read are an invalid export, whatever the library says of them."""
    try:
        yield
    except ExportInvalid:
        raise
    except UNREADABLE:
        raise ExportInvalid("not an archive that can be read") from None
