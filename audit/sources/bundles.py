"""Some entries read from published files: bundles, details and tiles of hashes. Pure, given how files are read."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from audit.layout import MAX_ENTRY_BYTES, WIDTH, LayoutInvalid, TilePath, entries_of
from audit.merkle import HASH_BYTES
from audit.replay.hashes import split
from audit.sources.files import FileInvalid, details_path, records_of
from audit.sources.port import Opened, Part, StoredTile
from audit.verifier import Finding

MAX_DETAILS_BYTES = 64 * 2**20
MAX_BUNDLE_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES)
_MAX_TILE_BYTES = WIDTH * HASH_BYTES
_DETAIL = {"detail": str, "index": int, "salt": str}

ReadAll = Callable[[Mapping[str, int]], dict[str, bytes | None]]
"""Paths, each with the most bytes of it -> contents."""


class PartReader:
    """Reads entries ``first``, a multiple of 256, to before ``end``."""

    def __init__(self, read_all: ReadAll, first: int, end: int) -> None:
        self._read_all = read_all
        self._first = first
        self._end = end
        self._findings: list[Finding] = []
        self._unread: set[int] = set()

    def part(self, *, entries: bool, details: bool) -> Part:
        """The part; what cannot be read of it is among its findings."""
        return Part(
            self._first,
            self._end,
            leaves=self._entries() if entries else None,
            details=self._details() if details else None,
            tiles=self._tiles(),
            unread=self._unread,
            findings=self._findings,
        )

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Number and width of each bundle."""
        for first in range(self._first, self._end, WIDTH):
            yield first // WIDTH, min(WIDTH, self._end - first)

    def _contents(self, path: Callable[[int, int], str], limit: int) -> Iterator[tuple[int, int, bytes | None, bool]]:
        """Number, width, content; whether the content is that of the full file which took the partial one's place."""
        ranges = list(self._ranges())
        contents = self._read_all({path(number, width): limit for number, width in ranges})
        for number, width in ranges:
            content = contents[path(number, width)]
            if content is None and width < WIDTH:
                yield number, width, self._read_all({path(number, WIDTH): limit})[path(number, WIDTH)], True
            else:
                yield number, width, content, False

    def _entries(self) -> list[bytes | None]:
        leaves: list[bytes | None] = []
        path = lambda number, width: str(TilePath("entries", number, width))  # noqa: E731  # as the others are
        for number, width, content, full in self._contents(path, MAX_BUNDLE_BYTES):
            leaves += self._bundle(number, width, content, full=full)
        return leaves

    def _bundle(self, number: int, width: int, content: bytes | None, *, full: bool) -> Sequence[bytes | None]:
        place = f"tile entries/{number}"
        try:
            if content is not None:
                return entries_of(content, width=WIDTH if full else width)[:width]
            self._findings.append(Finding(place, "it is missing"))
        except LayoutInvalid as error:
            self._findings.append(Finding(place, str(error)))
        return [None] * width

    def _tiles(self) -> dict[int, StoredTile]:
        above = self._above()
        tiles = {}
        path = lambda number, width: str(TilePath(0, number, width))  # noqa: E731  # idem
        for number, width, content, full in self._contents(path, _MAX_TILE_BYTES):
            if content is None:
                self._findings.append(Finding(f"tile 0/{number}", "it is missing"))
            else:
                tiles[number] = StoredTile(content[: width * HASH_BYTES] if full else content, above.get(number))
        return tiles

    def _above(self) -> dict[int, bytes]:
        """The hashes that the tiles of the level above have for full tiles of leaves."""
        first, end = self._first // WIDTH, self._end // WIDTH
        paths = {}
        for number in range(first // WIDTH, -(-end // WIDTH)):
            paths[number] = str(TilePath(1, number, min(WIDTH, end - number * WIDTH)))
        contents = self._read_all(dict.fromkeys(paths.values(), _MAX_TILE_BYTES))
        found = {}
        for number, path in paths.items():
            for at, one in enumerate(split(contents[path] or b"")):
                found[number * WIDTH + at] = one
        return found

    def _details(self) -> list[Opened | None]:
        details: list[Opened | None] = []
        for number, width, content, _ in self._contents(details_path, MAX_DETAILS_BYTES):
            found, first = self._opened(number, content), number * WIDTH
            details += [found.get(index) for index in range(first, first + width)]
        return details

    def _opened(self, number: int, content: bytes | None) -> dict[int, Opened]:
        """Details by index. A file that is not there is one of which all were erased, or its entries say otherwise."""
        try:
            found = _details_of(number, content or b"")
        except FileInvalid as error:
            self._findings.append(Finding(f"details from {number * WIDTH}", str(error)))
            self._unread.update(range(number * WIDTH, (number + 1) * WIDTH))
            return {}
        return found


def _details_of(number: int, content: bytes) -> dict[int, Opened]:
    found: dict[int, Opened] = {}
    before = number * WIDTH - 1
    if content.count(b"\n") > WIDTH:
        raise FileInvalid(f"it has more than {WIDTH} lines")
    for line, record in enumerate(records_of(content, _DETAIL), 1):
        index, salt, detail = record["index"], str(record["salt"]), str(record["detail"])
        if not isinstance(index, int) or not before < index < (number + 1) * WIDTH:
            raise FileInvalid(f"line {line} has an index that does not follow")
        before = index
        found[index] = (_salt(salt, line), detail.encode(errors="surrogatepass"))
    return found


def _salt(text: str, line: int) -> bytes:
    try:
        salt = bytes.fromhex(text)
    except ValueError:
        salt = b""
    # There is one way to write it: a changed byte that reads alike is a changed byte.
    if salt.hex() != text:
        raise FileInvalid(f"line {line} has a salt that is not hexadecimal")
    return salt
