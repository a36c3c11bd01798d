"""A log in a folder, as :func:`audit.folder.write_log_files` writes it. Standard library alone."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from audit.checkpoint import MAX_NOTE_BYTES
from audit.layout import CHECKPOINT, WIDTH, LayoutInvalid, TilePath
from audit.sources.port import SourceUnavailable
from audit.sources.published import PublishedReader


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder with a log's ``checkpoint`` in it, and the other files that belong to it."""

    path: Path

    def open(self) -> PublishedReader:
        """Raises :class:`SourceUnavailable` when there is no such folder."""
        if not self.path.is_dir():
            raise SourceUnavailable(f"there is no folder {self.path}")
        return PublishedReader(FolderFiles(self.path))


class FolderFiles:
    """Files by their path in the layout."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, path: str, limit: int) -> bytes | None:
        """A file. Raises :class:`SourceUnavailable` when it is too large or cannot be read."""
        try:
            with (self._path / path).open("rb") as file:
                content = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceUnavailable(f"{path}: {error.strerror or type(error).__name__}") from None
        if len(content) > limit:
            raise SourceUnavailable(f"{path} has more than the {limit} bytes that it may have")
        return content

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Files, one after the other."""
        return {path: self.read(path, limit) for path, limit in paths.items()}

    def newest(self, *, cosigned: bool) -> bytes | None:  # noqa: ARG002  # a folder has one
        """The checkpoint."""
        return self.read(CHECKPOINT, MAX_NOTE_BYTES)

    def lines(self, path: str) -> IO[bytes] | None:
        """A list. Raises :class:`SourceUnavailable` when it cannot be read."""
        try:
            return (self._path / path).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceUnavailable(f"{path}: {error.strerror or type(error).__name__}") from None

    def extent(self, size: int) -> tuple[int, bool, bool]:  # noqa: ARG002  # a folder is looked through
        """From the first bundle, or tile of leaves, that is there."""
        entries = list(self._numbers("tile/entries"))
        numbers = [*entries, *self._numbers("tile/0")]
        return min(numbers, default=0) * WIDTH, bool(entries), (self._path / "details").is_dir()

    def close(self) -> None:
        """Nothing is held open."""

    def _numbers(self, row: str) -> Iterator[int]:
        for folder, _, names in os.walk(self._path / row):
            for name in names:
                with suppress(LayoutInvalid):
                    yield TilePath.parse((Path(folder) / name).relative_to(self._path).as_posix()).number
