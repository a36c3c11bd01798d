"""What an export says of itself: what was asked for, what it holds, and at which head of the log. Pure, no dependency.

The manifest is canonical JSON (RFC 8785): one text for one manifest, so that its hash can be kept elsewhere.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self, get_args

from audit.exports.columns import Column, ColumnType, Format, is_detail

VERSION = 1
MAX_MANIFEST_BYTES = 262_144
FORMATS: tuple[Format, ...] = get_args(Format)

_ASCII_NAME = re.compile(r"[!-~]{1,64}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ExportInvalid(ValueError):
    """Not an export, or not the one that its manifest describes."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The second member of an export.

    ``first_index`` and ``last_index``: lowest and highest, ``None`` when nothing was found. ``checkpoint``: the signed
    note of the head that every record lies below. ``sha256``: of the first member, in hexadecimal. ``made_at``:
    RFC 3339, UTC. Raises :class:`ExportInvalid` when it contradicts itself.
    """

    filter: Mapping[str, str]
    count: int
    first_index: int | None
    last_index: int | None
    checkpoint: str
    sha256: str
    format: Format
    made_at: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if self.format not in FORMATS or not _SHA256.fullmatch(self.sha256):
            raise ExportInvalid("the manifest has an unknown format or hash")
        check_filter(self.filter, details=any(one.name == "detail" or is_detail(one.name) for one in self.columns))
        if not self._counts():
            raise ExportInvalid("the manifest's count and indexes contradict each other")

    def to_json(self) -> bytes:
        """The canonical text. What is ``None`` is absent."""
        stated = {"v": VERSION, **asdict(self), "filter": dict(self.filter)}
        present = {name: value for name, value in stated.items() if value is not None}
        return json.dumps(present, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read the canonical text and no other. Raises :class:`ExportInvalid`."""
        if len(text) > MAX_MANIFEST_BYTES:
            raise ExportInvalid("the manifest is too large")
        try:
            manifest = cls._read(json.loads(text))
            if manifest.to_json() == text:
                return manifest
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise ExportInvalid("not the canonical text of a manifest")

    @classmethod
    def _read(cls, stated: dict[str, object]) -> Self:
        if stated.pop("v") != VERSION:
            raise ExportInvalid("a manifest of another version")
        columns = tuple(_column(one) for one in _list(stated.pop("columns")))
        indexes = {"first_index": None, "last_index": None}
        read = cls(**{**indexes, **stated}, columns=columns)  # type: ignore[arg-type]  # types are looked at next
        texts = (read.checkpoint, read.sha256, read.made_at, *read.filter, *read.filter.values())
        numbers = (read.count, read.first_index, read.last_index)
        if not all(isinstance(one, str) for one in texts) or any(isinstance(one, bool) for one in numbers):
            raise ExportInvalid("a value of the manifest has another type")
        return read

    def _counts(self) -> bool:
        if self.first_index is None or self.last_index is None:
            return self.first_index is self.last_index and self.count == 0
        return 0 <= self.first_index <= self.last_index and 0 < self.count <= self.last_index - self.first_index + 1


def check_filter(asked: Mapping[str, str], *, details: bool) -> None:
    """Refuse a filter that the manifest may not repeat. Raises :class:`ExportInvalid`.

    A filter by a sealed value (a citizen, a grant) says that value: it is for readers of details alone.
    """
    if not all(_ASCII_NAME.fullmatch(name) for name in asked):
        raise ExportInvalid("the name of a filter is not plain ASCII")
    if not details and any(is_detail(name) for name in asked):
        raise ExportInvalid("a filter by a sealed value is for readers of details")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ExportInvalid("not a list")
    return value


def _column(stated: object) -> Column:
    if not isinstance(stated, dict) or not all(isinstance(one, str) for one in stated.values()):
        raise ExportInvalid("not a column")
    column = Column(**stated)
    if column.type not in get_args(ColumnType):
        raise ExportInvalid("a column of an unknown type")
    return column
