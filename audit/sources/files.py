"""The files of a published log besides the checkpoint, the tiles and the entries (:mod:`audit.layout`). Pure.

``details/<number>[.p/<width>]`` beside each bundle of entries: JSON lines ``{"detail", "index", "salt"}``, ascending,
erased ones absent; ``checkpoints.jsonl``: ``{"note", "size"}`` of every signed checkpoint; ``erased.jsonl``:
``{"by", "index"}``; ``log.vkey``: the C2SP verifier key. A line is canonical JSON: no byte of it can change unseen.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

from audit.layout import WIDTH, TilePath

CHECKPOINTS = "checkpoints.jsonl"
ERASED = "erased.jsonl"
VERIFIER_KEY = "log.vkey"

_CHUNK_BYTES = 65_536


class FileInvalid(ValueError):
    """Not a file of a published log; the message says which line."""


def details_path(number: int, width: int = WIDTH) -> str:
    """Where the details of a bundle's entries are."""
    return "details" + str(TilePath("entries", number, width)).removeprefix("tile/entries")


def lines_of(records: Iterable[Mapping[str, object]]) -> bytes:
    """JSON lines."""
    return b"".join(chunks_of(records))


def chunks_of(records: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """JSON lines, some 64 KB at a time: there may be millions of them. No chunk is empty."""
    chunk = bytearray()
    for record in records:
        chunk += f"{_line(record)}\n".encode()
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def records_of(content: bytes, names: Mapping[str, type]) -> list[dict[str, object]]:
    """The records of JSON lines whose members are exactly ``names``. Raises :class:`FileInvalid`."""
    if content and not content.endswith(b"\n"):
        raise FileInvalid("the last line does not end")
    return [record_of(line, number, names) for number, line in enumerate(content.split(b"\n")[:-1], 1)]


def record_of(line: bytes, number: int, names: Mapping[str, type]) -> dict[str, object]:
    """The record of line ``number``, which is given without its end. Raises :class:`FileInvalid`."""
    record = _parsed(line)
    if type(record) is not dict or {name: type(value) for name, value in record.items()} != names:
        raise FileInvalid(f"line {number} is not a record of {', '.join(names)}")
    # As text: an escaped surrogate is a string that has no bytes.
    if _line(record) != line.decode():
        raise FileInvalid(f"line {number} is not canonical JSON")
    return record


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None


def _line(record: Mapping[str, object]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
