"""Parameters of a statement in PostgreSQL's binary form.

The columns of a batch go as arrays, packed at once: the driver takes three times as long.

``array_recv`` of PostgreSQL reads: dimensions, whether there are nulls, the elements' type, then size and lower bound
of each dimension and every element behind its length.
"""

import struct
from collections.abc import Sequence
from typing import ClassVar

_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_INTEGER = struct.Struct(">iq")


class Packed(bytes):
    """A parameter; ``OID`` is the number of its type."""

    __slots__ = ()
    OID: ClassVar[int]


class PackedInteger(Packed):
    """``bigint``."""

    __slots__ = ()
    OID = 20


class PackedIntegers(Packed):
    """``bigint[]``."""

    __slots__ = ()
    OID = 1016
    ELEMENT = PackedInteger.OID


class PackedTexts(Packed):
    """``text[]``."""

    __slots__ = ()
    OID = 1009
    ELEMENT = 25


class PackedBytes(Packed):
    """``bytea[]``."""

    __slots__ = ()
    OID = 1001
    ELEMENT = 17


def packed_integer(value: int) -> PackedInteger:
    """One number."""
    return PackedInteger(value.to_bytes(8, "big", signed=True))


def packed(column: Sequence[object]) -> Packed:
    """A column of integers, of texts or of bytes; at least one value."""
    first = column[0]
    if isinstance(first, int):
        return PackedIntegers(
            _header(PackedIntegers.ELEMENT, column) + b"".join([_INTEGER.pack(8, one) for one in column])
        )
    if isinstance(first, bytes):
        return PackedBytes(_header(PackedBytes.ELEMENT, column) + _elements(column))  # type: ignore[arg-type]  # as the first
    return packed_texts([str(one) for one in column])


def packed_texts(texts: Sequence[str]) -> PackedTexts:
    """Texts, or none."""
    return PackedTexts(_header(PackedTexts.ELEMENT, texts) + _elements([one.encode() for one in texts]))


def _elements(raws: Sequence[bytes]) -> bytes:
    return b"".join([part for raw in raws for part in (_LENGTH.pack(len(raw)), raw)])


def _header(element: int, column: Sequence[object]) -> bytes:
    return _HEADER.pack(1, 0, element, len(column), 1)
