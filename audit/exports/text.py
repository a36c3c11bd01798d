"""CSV (RFC 4180) and JSON Lines, some 64 KB at a time."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

import orjson

from audit.exports.columns import Value, columns_of, row
from audit.exports.sink import CHUNK_BYTES
from audit.query import AccessRecord

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet compute a cell, in ASCII and full width (OWASP, CSV Injection)."""

_GUARD = "'"


def csv_chunks(records: Iterable[AccessRecord], *, details: bool) -> Iterator[bytes]:
    """A header and one row per record, UTF-8 without a byte order mark, lines ended by CR LF.

    Lists are joined by a space. A text that a spreadsheet would compute is prefixed by an apostrophe, and so is one
    that begins with an apostrophe: dropping the first apostrophe of a cell always gives the value back.
    """
    columns = columns_of("csv", details=details)
    page = StringIO(newline="")
    writer = csv.writer(page)
    writer.writerow([column.name for column in columns])
    for record in records:
        writer.writerow(map(_cell, row(record.index, record.skeleton, record.detail, columns=columns)))
        if page.tell() >= CHUNK_BYTES:
            yield page.getvalue().encode()
            page.seek(0)
            page.truncate()
    yield page.getvalue().encode()


def jsonl_chunks(records: Iterable[AccessRecord], *, details: bool) -> Iterator[bytes]:
    """One object a line: ``index``, ``entry``, and ``detail`` for who may read it.

    Keys are sorted at every depth: the bytes of ``entry`` are those of the leaf (RFC 8785).
    """
    lines: list[bytes] = []
    size = 0
    for record in records:
        lines.append(_line(record, details=details))
        size += len(lines[-1])
        if size >= CHUNK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)


def _line(record: AccessRecord, *, details: bool) -> bytes:
    shown: dict[str, object] = {"index": record.index, "entry": record.skeleton}
    if details:
        shown["detail"] = record.detail
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _cell(value: Value) -> str | int:
    if value is None:
        return ""
    if isinstance(value, int):
        return value
    text = " ".join(value) if isinstance(value, list) else value
    return _GUARD + text if text.startswith((*_FORMULA, _GUARD)) else text
