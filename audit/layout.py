"""Where the tiles of a log are (C2SP tlog-tiles): paths, widths and entry bundles. Pure.

``checkpoint``; ``tile/<level>/<number>`` for 256 hashes, ``tile/<level>/<number>.p/<width>`` for those of a tile that
is not full yet; ``tile/entries/<number>`` likewise for the entries themselves. A number is written in groups of three
digits, all but the last behind an ``x``: 1234067 is ``x001/x234/067``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

WIDTH = 256
HEIGHT = 8
MAX_LEVEL = 63 // HEIGHT
MAX_ENTRY_BYTES = 65_535
"""An entry of a bundle has its length before it in two bytes."""

CHECKPOINT = "checkpoint"
TILE_MEDIA_TYPE = "application/octet-stream"

Level: TypeAlias = int | Literal["entries"]

_GROUPS = re.compile(r"(?:x[0-9]{3}/)*[0-9]{3}", re.ASCII)
_PARTIAL = re.compile(r"(.+)\.p/([1-9][0-9]{0,2})", re.ASCII)
_MAX_GROUPS = 7


class LayoutInvalid(ValueError):
    """Not the path of a tile, or not a bundle of entries."""


@dataclass(frozen=True, slots=True)
class TilePath:
    """A tile: ``level`` from 0 or ``entries``, ``number`` from 0, ``width`` of 1 to 256."""

    level: Level
    number: int
    width: int = WIDTH

    def __str__(self) -> str:
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{_written(self.number)}{partial}"

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read the one way in which a path is written. Raises :class:`LayoutInvalid`."""
        kind, _, rest = path.removeprefix("tile/").partition("/")
        if not path.startswith("tile/") or len(path) > 64:  # noqa: PLR2004  # longer than any
            raise LayoutInvalid("not the path of a tile")
        partial = _PARTIAL.fullmatch(rest)
        number, width = (partial[1], int(partial[2])) if partial else (rest, WIDTH)
        if not _GROUPS.fullmatch(number) or number.count("/") >= _MAX_GROUPS or (partial and width >= WIDTH):
            raise LayoutInvalid("not the path of a tile")
        parsed = cls(_level(kind), int(number.replace("x", "").replace("/", "")), width)
        if str(parsed) != path:
            raise LayoutInvalid("not the one path of its tile")
        return parsed

    @property
    def first(self) -> int:
        """The index of the first hash of its level, or of the first entry, that it holds."""
        return self.number * WIDTH


def tiles_of(size: int) -> Iterator[TilePath]:
    """Every tile of a log of ``size`` entries: hashes level by level, partial ones included, then the entries."""
    level, count = 0, size
    while count:
        yield from _row(level, count)
        level, count = level + 1, count // WIDTH
    yield from _row("entries", size)


def bundle_of(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length, big-endian in two bytes."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise LayoutInvalid("an entry is too long for a bundle")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def entries_of(bundle: bytes, *, width: int) -> list[bytes]:
    """The entries of a bundle, exactly ``width`` of them. Raises :class:`LayoutInvalid`."""
    entries, at = [], 0
    while at < len(bundle):
        start = at + 2
        end = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or end > len(bundle):
            raise LayoutInvalid("the bundle ends within an entry")
        entries.append(bundle[start:end])
        at = end
    if len(entries) != width:
        raise LayoutInvalid(f"the bundle has {len(entries)} entries, not {width}")
    return entries


def _row(level: Level, count: int) -> Iterator[TilePath]:
    for number in range(count // WIDTH):
        yield TilePath(level, number)
    if count % WIDTH:
        yield TilePath(level, count // WIDTH, count % WIDTH)


def _level(kind: str) -> Level:
    if kind == "entries":
        return "entries"
    if not kind.isascii() or not kind.isdigit() or len(kind) > 2 or int(kind) > MAX_LEVEL:  # noqa: PLR2004  # 0 to 63
        raise LayoutInvalid("not the level of a tile")
    return int(kind)


def _written(number: int) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    return "/".join(reversed(groups))
