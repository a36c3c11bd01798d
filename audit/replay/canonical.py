"""Reading canonical JSON (RFC 8785, as entries use it) by the standard library, a tile's worth at once.

Reading 256 objects in one call takes a third of the time of one after the other. They are joined with a token between
them that nobody who wrote them could know: where every second value is the token, and nothing else holds it, each of
the others is exactly one text.

Whether it is canonical: what is read is written again and compared, unless there is nothing in it that has two ways to
be written but the order of names.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

Parsed: TypeAlias = Mapping[str, Any] | str
"""The object, or what is wrong with the text."""

_TWO_WAYS = "\\ \t\n\r"
"""Escapes, and space between tokens."""
_MOST_SHAPES = 1_000


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)


def _integer(number: str) -> int:
    """What is left has one way to be written, but for the negative zero."""
    return _refuse(number) if number == "-0" else int(number)


_READ = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_integer).decode
_WRITE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Canonical:
    """``token``: random, of letters and digits."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._between = f',"{token}",'.encode()
        self._shapes: set[tuple[str, ...]] = set()
        """Names of members seen in their order."""

    def read(self, texts: Sequence[bytes]) -> Sequence[Parsed]:
        """Each text's object, or what is wrong with it."""
        together = self._together(texts) if texts else None
        return [_one(text) for text in texts] if together is None else together

    def _together(self, texts: Sequence[bytes]) -> Sequence[Parsed] | None:
        """All of them at once; ``None`` when something is wrong with one."""
        try:
            joined = b"".join((b"[", self._between.join(texts), b"]")).decode()
            values = _READ(joined)
            if not self._aligned(joined, values, len(texts)):
                return None
            objects: list[Parsed] = values[::2]
            if not all(type(value) is dict for value in objects):
                return None
            return objects if self._one_way(joined, objects) or _WRITE(values) == joined else None
        except (ValueError, RecursionError):
            return None

    def _aligned(self, joined: str, values: Sequence[object], count: int) -> bool:
        tokens = values[1::2]
        return (
            len(values) == 2 * count - 1
            and tokens.count(self._token) == count - 1
            and joined.count(self._token) == count - 1
        )

    def _one_way(self, joined: str, objects: Sequence[Any]) -> bool:
        """Whether there is only one way to write this, which it then is."""
        if any(some in joined for some in _TWO_WAYS) or joined.count('":') != sum(map(len, objects)):
            # A name that is there twice is read once; a quote before a colon may also begin a text.
            return False
        unseen = set(map(tuple, objects)) - self._shapes
        if any(list(shape) != sorted(shape) for shape in unseen):
            return False
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes |= unseen
        return True


def _one(text: bytes) -> Parsed:
    try:
        decoded = text.decode()
        value = _READ(decoded)
        if type(value) is not dict:
            return "it is not a JSON object"
        return value if _WRITE(value) == decoded else "it is not canonical JSON"
    except (ValueError, RecursionError):
        return "it is not JSON"
