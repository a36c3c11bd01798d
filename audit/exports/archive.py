"""An export as one ZIP archive made while it is sent: the content, then the manifest, whose hash is known by then.

ZIP64 with data descriptors (APPNOTE 4.3.9), by the standard library's writer on a sink that cannot be sought. Records
that end in an error end the archive before its directory: what was received then opens nowhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from audit.checkpoint import Checkpoint
from audit.exports.columns import Format, columns_of
from audit.exports.manifest import ExportInvalid, Manifest, check_filter
from audit.exports.parquet import parquet_chunks
from audit.exports.sink import CHUNK_BYTES, Sink
from audit.exports.text import csv_chunks, jsonl_chunks
from audit.query import AccessRecord

MANIFEST = "manifest.json"

_WRITERS: Mapping[Format, Callable[..., Iterator[bytes]]] = {
    "csv": csv_chunks,
    "jsonl": jsonl_chunks,
    "parquet": parquet_chunks,
}


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported, for whom, at which head of the log.

    ``filter``: what was asked for, as the manifest repeats it. ``checkpoint``: a signed note; every record lies below
    its size. ``made_at``: Unix seconds. Raises :class:`ExportInvalid`, also :class:`audit.checkpoint.NoteInvalid`.
    """

    format: Format
    details: bool
    filter: Mapping[str, str]
    checkpoint: str
    made_at: float
    size: int = field(init=False)

    def __post_init__(self) -> None:
        check_filter(self.filter, details=self.details)
        body = self.checkpoint.rpartition("\n\n")[0] + "\n"
        object.__setattr__(self, "size", Checkpoint.parse(body).size)

    @property
    def member(self) -> str:
        """The name of the content in the archive."""
        return f"accesses.{self.format}"


class Tally:
    """Counts the records that go through it. Owned by one export."""

    def __init__(self, records: Iterable[AccessRecord], *, size: int) -> None:
        self._records = records
        self._size = size
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None

    def __iter__(self) -> Iterator[AccessRecord]:
        """The records. Raises :class:`ExportInvalid` at one that the checkpoint does not cover."""
        for record in self._records:
            index = record.index
            if not 0 <= index < self._size:
                raise ExportInvalid("a record lies beyond the checkpoint of its export")
            self.count += 1
            self.first = index if self.first is None else min(self.first, index)
            self.last = index if self.last is None else max(self.last, index)
            yield record


def export_chunks(records: Iterable[AccessRecord], asked: Export) -> Iterator[bytes]:
    """The archive, some 64 KB at a time. Records in any order, each once.

    Raises :class:`audit.exports.parquet.ParquetUnavailable` at once; :class:`ExportInvalid` and what ``records``
    raises while it is read.
    """
    tally = Tally(records, size=asked.size)
    return with_manifest(_WRITERS[asked.format](tally, details=asked.details), tally, asked=asked)


def with_manifest(chunks: Iterable[bytes], tally: Tally, *, asked: Export) -> Iterator[bytes]:
    """The archive of a content whose records went through ``tally``."""
    sink = Sink()
    digest = sha256()
    # Parquet is compressed already.
    method = ZIP_STORED if asked.format == "parquet" else ZIP_DEFLATED
    with ZipFile(sink, "w", compression=method, compresslevel=1) as archive:
        with archive.open(asked.member, "w", force_zip64=True) as content:
            for chunk in chunks:
                digest.update(chunk)
                content.write(chunk)
                if sink.size >= CHUNK_BYTES:
                    yield sink.take()
        with archive.open(MANIFEST, "w") as member:
            member.write(_manifest(tally, digest.hexdigest(), asked).to_json())
    yield sink.take()


def _manifest(tally: Tally, digest: str, asked: Export) -> Manifest:
    return Manifest(
        filter=asked.filter,
        count=tally.count,
        first_index=tally.first,
        last_index=tally.last,
        checkpoint=asked.checkpoint,
        sha256=digest,
        format=asked.format,
        made_at=datetime.fromtimestamp(asked.made_at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        columns=columns_of(asked.format, details=asked.details),
    )
