"""The standing of every grant, two bits each, in memory: a Token Status List (draft-ietf-oauth-status-list).

An index never written is valid: the index comes from a signed token, and withdrawals are what is written.
"""

from collections.abc import Mapping
from functools import lru_cache

from consent.model import GrantStatus

VALID = 0
WITHDRAWN = 1
SUSPENDED = 2

OF_GRANTS: Mapping[GrantStatus, int] = {
    "active": VALID,
    "suspended": SUSPENDED,
    "withdrawn": WITHDRAWN,
    "expired": WITHDRAWN,
}
"""What the list says of a grant; the draft calls 1 INVALID."""

LIST_SIZE = 1 << 22
"""Indexes in a list. A grant's index is drawn at random in it, so that it tells nothing about other grants.

When all are written the list holds one mebibyte. Lists follow one another: an index is ``number * LIST_SIZE + idx``.
"""
LISTS = 64
"""Lists there can be: more grants than France has people."""
PATH = "/status/"

_STATUSES = frozenset({VALID, WITHDRAWN, SUSPENDED})
_PER_BYTE = 4


class StatusList:
    """Grows as indexes are written. Not locked: writers must take turns; a reader sees a whole byte.

    The first index of a byte is in its lowest bits, as the draft orders them.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def get(self, index: int) -> int:
        """The status of ``index``."""
        place, shift = _place(index)
        # One read of the length, then one of the byte: the array never shrinks.
        return (self._bytes[place] >> shift) & 3 if place < len(self._bytes) else VALID

    def set(self, index: int, status: int) -> None:
        """Give ``index`` a status. Raises ``ValueError`` for a status that does not exist or an index out of range."""
        if status not in _STATUSES:
            raise ValueError("status: VALID, WITHDRAWN or SUSPENDED")
        if index >= LIST_SIZE * LISTS:
            raise ValueError(f"index: below {LIST_SIZE * LISTS}")
        place, shift = _place(index)
        if place >= len(self._bytes):
            self._bytes.extend(bytes(place + 1 - len(self._bytes)))
        self._bytes[place] = self._bytes[place] & ~(3 << shift) & 0xFF | status << shift

    def of(self, number: int) -> bytes:
        """The bytes of one list, whole, whatever was written of it."""
        size = LIST_SIZE // _PER_BYTE
        written = bytes(self._bytes[number * size : (number + 1) * size])
        return written + bytes(size - len(written))

    def __len__(self) -> int:
        """Bytes held."""
        return len(self._bytes)


def uri_of(issuer: str, index: int) -> tuple[str, int]:
    """Where a token says its status is: the list's URI and the ``idx`` in it."""
    number, idx = divmod(index, LIST_SIZE)
    return f"{issuer}{PATH}{number}", idx


def index_of(issuer: str, uri: str, idx: int) -> int:
    """The inverse of :func:`uri_of`. Raises ``ValueError`` for a list that is not ours, or no index of it."""
    if not 0 <= idx < LIST_SIZE:
        raise ValueError("idx: not in a status list")
    return _number_of(issuer, uri) * LIST_SIZE + idx


@lru_cache(maxsize=LISTS)
def _number_of(issuer: str, uri: str) -> int:
    number = uri.removeprefix(issuer + PATH)
    if len(number) > 2 or not number.isascii() or not number.isdigit() or str(int(number)) != number:  # noqa: PLR2004  # LISTS has two digits
        raise ValueError("uri: not a status list of this deployment")
    if int(number) >= LISTS:
        raise ValueError("uri: no such status list")
    return int(number)


def _place(index: int) -> tuple[int, int]:
    if index < 0:
        raise ValueError("index: 0 or more")
    return index // _PER_BYTE, index % _PER_BYTE * 2
