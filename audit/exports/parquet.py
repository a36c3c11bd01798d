"""Apache Parquet, a row group at a time.

By pyarrow, the reference implementation: its writer is pushed (``write_batch``), so that a generator can hand on each
row group, and the file keeps nothing open when the reader goes away. Lighter libraries were looked at: arro3 pulls
from a stream until its end, which takes a thread and a queue here; fastparquet brings pandas; DuckDB and Polars are
engines. pyarrow is large: it is imported when Parquet is asked for, and may be absent.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple

from audit.exports.columns import Column, ColumnType, columns_of, row
from audit.exports.sink import Sink
from audit.query import AccessRecord

ROW_GROUP = 10_000
"""Rows; what is in memory at once."""


class ParquetUnavailable(Exception):
    """pyarrow is not installed."""


class _Arrow(NamedTuple):
    """pyarrow's two modules; they have no types."""

    core: Any
    parquet: Any


def parquet_chunks(records: Iterable[AccessRecord], *, details: bool) -> Iterator[bytes]:
    """Row groups of 10,000, zstd; ``time`` is a timestamp in milliseconds, UTC, ``fields`` a list of strings.

    Raises :class:`ParquetUnavailable` at once, before anything is handed over. The file's footer, which is kept until
    the end, takes a few kilobytes per row group.
    """
    return _chunks(records, columns_of("parquet", details=details), _arrow())


def parquet_rows(file: Any) -> int:  # any readable, seekable file
    """The number of rows that the footer of a Parquet file states.

    Raises :class:`ParquetUnavailable`; ``ValueError`` or ``OSError`` when it is not a Parquet file.
    """
    rows: int = _arrow().parquet.read_metadata(file).num_rows
    return rows


def _chunks(records: Iterable[AccessRecord], columns: tuple[Column, ...], arrow: _Arrow) -> Iterator[bytes]:
    rows = (row(one.index, one.skeleton, one.detail, columns=columns) for one in records)
    schema = _schema(arrow, columns)
    sink = Sink()
    with arrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROW_GROUP)):
            held = zip(zip(*group, strict=True), columns, strict=True)
            arrays = [_array(arrow, list(values), column.type) for values, column in held]
            writer.write_batch(arrow.core.record_batch(arrays, schema=schema), row_group_size=ROW_GROUP)
            yield sink.take()
    yield sink.take()


def _schema(arrow: _Arrow, columns: tuple[Column, ...]) -> Any:
    return arrow.core.schema(
        [arrow.core.field(one.name, _type(arrow, one.type), metadata={"meaning": one.meaning}) for one in columns]
    )


def _type(arrow: _Arrow, kind: ColumnType) -> Any:
    core = arrow.core
    if kind == "integer":
        return core.int64()
    if kind == "time":
        return core.timestamp("ms", tz="UTC")
    return core.list_(core.string()) if kind == "texts" else core.string()


def _array(arrow: _Arrow, values: list[Any], kind: ColumnType) -> Any:
    if kind == "time":
        return arrow.core.array(values, arrow.core.string()).cast(_type(arrow, kind))
    return arrow.core.array(values, _type(arrow, kind))


def _arrow() -> _Arrow:
    try:
        return _Arrow(import_module("pyarrow"), import_module("pyarrow.parquet"))
    except ImportError:
        raise ParquetUnavailable("Parquet needs the package pyarrow") from None
