"""A transfer as files: a folder, or a ZIP (APPNOTE 6.3) whose bytes depend on the content alone.

A package is made under a hidden name beside its own and gets that by one rename: whoever finds it finds it whole. What
a crash leaves is the hidden one. It is its owner's alone to read: with details it holds personal data.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias
from zipfile import ZIP64_LIMIT, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

ZIP_SUFFIX = ".zip"

_OWNER_FOLDER, _OWNER_FILE = 0o700, 0o600
_EVERYTHING_ALIKE = (1980, 1, 1, 0, 0, 0)
"""The earliest moment a ZIP can say: that of every file of a package."""


class Package(Protocol):
    """A package to be read. Any method may raise :data:`audit.package_check.UNREADABLE`."""

    def names(self) -> Iterator[str]:
        """The path of every file, from the package's root, with ``/`` between."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The content of a file."""
        ...


class FolderPackage:
    """A package that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> Iterator[str]:
        """Whatever lies in the folder and is none itself."""
        for folder, _, names in os.walk(self.root, onerror=_raise):
            for name in names:
                yield (Path(folder) / name).relative_to(self.root).as_posix()

    def open(self, name: str) -> BinaryIO:
        """The content of a file."""
        return (self.root / name).open("rb")


class ZipPackage:
    """A package that is a ZIP."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive

    def names(self) -> Iterator[str]:
        """The members; one that is there twice comes twice."""
        return iter(self._archive.namelist())

    def open(self, name: str) -> BinaryIO:
        """The content of a member."""
        return self._archive.open(name)  # type: ignore[return-value]  # a BufferedIOBase, which reads alike


class FolderDraft:
    """A package that is being made as a folder. Any method may raise ``OSError``."""

    def __init__(self, target: Path) -> None:
        self._target = _free(target)
        self.path = _hidden(target)
        self.path.mkdir(mode=_OWNER_FOLDER)

    def write(self, name: str, chunks: Iterable[bytes], *, at_most: int = 0) -> None:  # noqa: ARG002  # files grow
        """Add a file."""
        path = self.path / name
        path.parent.mkdir(mode=_OWNER_FOLDER, parents=True, exist_ok=True)
        with _new_file(path) as file:
            file.writelines(chunks)

    def finish(self) -> None:
        """Nothing is added any more; what was is durable."""
        # One call for thousands of files.
        os.sync()

    def publish(self) -> None:
        """Give it its name."""
        self.path.rename(_free(self._target))
        _sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove what was written, unless it was published."""
        shutil.rmtree(self.path, ignore_errors=True)


class ZipDraft:
    """A package that is being made as a ZIP. Any method may raise ``OSError``."""

    def __init__(self, target: Path) -> None:
        self._target = _free(target)
        self.path = _hidden(target)
        self._file = _new_file(self.path)
        self._archive = ZipFile(self._file, "w")

    def write(self, name: str, chunks: Iterable[bytes], *, at_most: int = 0) -> None:
        """Add a member. ``at_most``: bytes that it may have, where these may be more than two gigabytes."""
        member = ZipInfo(name, _EVERYTHING_ALIKE)
        member.create_system, member.external_attr = 3, _OWNER_FILE << 16
        member.compress_type = ZIP_STORED if _dense(name) else ZIP_DEFLATED
        # Room for the size is made before it is known.
        with self._archive.open(member, "w", force_zip64=at_most > ZIP64_LIMIT) as opened:
            opened.writelines(chunks)

    def finish(self) -> None:
        """Nothing is added any more; what was is durable."""
        self._archive.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def publish(self) -> None:
        """Give it its name."""
        self.path.rename(_free(self._target))
        _sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove what was written, unless it was published."""
        # Writes its directory, to a disk that may be full.
        with suppress(OSError, ValueError):
            self._archive.close()
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


Draft: TypeAlias = FolderDraft | ZipDraft


def new_draft(target: Path) -> Draft:
    """A draft of the kind that the name of ``target`` says. Raises ``OSError``, also when it exists."""
    return ZipDraft(target) if target.suffix.lower() == ZIP_SUFFIX else FolderDraft(target)


@contextmanager
def opened(path: Path) -> Iterator[Package]:
    """A package to be read: a folder, or a file that is a ZIP. Raises :data:`audit.package_check.UNREADABLE`."""
    if path.is_dir():
        yield FolderPackage(path)
        return
    with ZipFile(path) as archive:
        yield ZipPackage(archive)


def _dense(name: str) -> bool:
    """Whether a content does not get smaller: hashes, and what is compressed already."""
    return name.endswith(".pyz") or ("/tile/" in name and "/tile/entries/" not in name)


def _free(target: Path) -> Path:
    if target.exists() or target.is_symlink():
        raise FileExistsError(0, "it exists already, and is not replaced")
    return target


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_FILE), "w+b")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error
