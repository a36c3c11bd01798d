"""What an entry must be, and what it tells that others are held against. Pure."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

from audit.verifier import ENDS, KINDS

BUCKETS = 64
"""Keys are told apart by their hashes in so many heaps, each small enough to be looked through at once."""
_HASHED = Struct(">Q23xB")
"""Of a SHA-256 hash: the number that stands for the key, and what says to which heap it belongs."""
_REQUIRED = (("v", int), ("kind", str), ("time", str), ("request_id", str), ("outcome", str), ("sealed", str))


def wrong_form(entry: Mapping[str, object]) -> str | None:
    """What is wrong with an entry's members."""
    for name, kind in _REQUIRED:
        if type(entry.get(name)) is not kind:
            return f"{name!r} is missing or has the wrong form"
    return None if entry["kind"] in KINDS else "its kind is unknown"


class Uses:
    """Which entries used which keys: by the keys' hashes under a prefix that nobody who wrote them knew."""

    __slots__ = ("_prefix", "_used")

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._used: list[tuple[bytes, int]] = []

    def add(self, key: bytes, index: int) -> None:
        """An entry used a key."""
        self._used.append((key, index))

    def heaps(self) -> list[bytes]:
        """Hashes and indexes in turn, 8 bytes each, as this machine writes them."""
        prefix, heaps = self._prefix, [array("Q") for _ in range(BUCKETS)]
        for key, index in self._used:
            hashed, last = _HASHED.unpack(sha256(prefix + key).digest())
            heap = heaps[last % BUCKETS]
            heap.append(hashed)
            heap.append(index)
        return [heap.tobytes() for heap in heaps]


@dataclass(slots=True)
class Told:
    """What entries and their details tell: keys spent, grants ended, grants accessed, runs of retention."""

    prefix: bytes
    spent: Uses = field(init=False)
    closed: Uses = field(init=False)
    accessed: Uses = field(init=False)

    def __post_init__(self) -> None:
        self.spent, self.closed, self.accessed = Uses(self.prefix), Uses(self.prefix), Uses(self.prefix)

    def take(self, index: int, entry: Mapping[str, object], detail: Mapping[str, object]) -> str | None:
        """Take an entry's part in; what is wrong with it alone."""
        spent = str(detail.get("spent", "")).split()
        for key in spent:
            self.spent.add(_encoded(key), index)
        grant, kind = detail.get("grant_id"), entry["kind"]
        if type(grant) is not str or entry["outcome"] != "ok":
            return None
        if kind == "access":
            self.accessed.add(_encoded(f"grant:{grant}"), index)
            if detail.get("access") == "once" and not spent:
                return "an access of a single use that was not used up"
        elif kind in ENDS:
            self.closed.add(_encoded(f"grant:{grant}"), index)
        return None


def _encoded(key: str) -> bytes:
    return key.encode(errors="surrogatepass")
