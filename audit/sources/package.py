"""The log in a transfer (:mod:`audit.package`), as the verification reads it: in a folder or in the ZIP as it is."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO
from zipfile import ZipFile

from audit.checkpoint import MAX_NOTE_BYTES
from audit.layout import CHECKPOINT, WIDTH, LayoutInvalid, TilePath
from audit.package_check import UNREADABLE
from audit.seda import CONTENT
from audit.sources.folder import FolderSource
from audit.sources.port import Source, SourceUnavailable
from audit.sources.published import PublishedReader

_BUFFER_BYTES = 65_536


def log_of(package: Path) -> Source:
    """The source of a package's log."""
    return FolderSource(package / CONTENT) if package.is_dir() else ZipSource(package)


@dataclass(frozen=True, slots=True)
class ZipSource:
    """A ZIP with a log in its folder ``content/``."""

    path: Path

    def open(self) -> PublishedReader:
        """Raises :class:`SourceUnavailable` when it is none."""
        try:
            return PublishedReader(ZipFiles(ZipFile(self.path)))
        except UNREADABLE as error:
            raise SourceUnavailable(f"{self.path} cannot be read as a ZIP ({type(error).__name__})") from None


class ZipFiles:
    """Members by their path in the layout."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._members = {info.filename.removeprefix(CONTENT): info for info in archive.infolist()}

    def read(self, path: str, limit: int) -> bytes | None:
        """A member. Raises :class:`SourceUnavailable` when it is too large or cannot be read."""
        member = self._members.get(path)
        if member is None:
            return None
        try:
            with self._archive.open(member) as opened:
                content = opened.read(limit + 1)
        except UNREADABLE as error:
            raise SourceUnavailable(f"{path} cannot be read ({type(error).__name__})") from None
        if len(content) > limit:
            raise SourceUnavailable(f"{path} has more than the {limit} bytes that it may have")
        return content

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Members, one after the other."""
        return {path: self.read(path, limit) for path, limit in paths.items()}

    def newest(self, *, cosigned: bool) -> bytes | None:  # noqa: ARG002  # a package has one
        """The checkpoint."""
        return self.read(CHECKPOINT, MAX_NOTE_BYTES)

    def lines(self, path: str) -> IO[bytes] | None:
        """A list. Raises :class:`SourceUnavailable` when it cannot be read."""
        member = self._members.get(path)
        if member is None:
            return None
        try:
            # Line by line, a member alone takes many times as long.
            return BufferedReader(self._archive.open(member), _BUFFER_BYTES)  # type: ignore[type-var]
        except UNREADABLE as error:
            raise SourceUnavailable(f"{path} cannot be read ({type(error).__name__})") from None

    def extent(self, size: int) -> tuple[int, bool, bool]:  # noqa: ARG002  # a package is looked through
        """From the first bundle, or tile of leaves, that is there."""
        entries = list(self._numbers("tile/entries/"))
        numbers = [*entries, *self._numbers("tile/0/")]
        return (
            min(numbers, default=0) * WIDTH,
            bool(entries),
            any(path.startswith("details/") for path in self._members),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()

    def _numbers(self, row: str) -> Iterator[int]:
        for path in self._members:
            with suppress(LayoutInvalid):
                if path.startswith(row):
                    yield TilePath.parse(path).number
