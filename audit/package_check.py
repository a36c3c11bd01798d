"""Whether a transfer is whole: every file of its manifest there, digest for digest, and no other. Standard library.

This says that the package is the one that its manifest describes, not that the log in it is sound: whoever can change a
file can change its digest. That is for the log's own verification, and for the manifest's hash, which the log that made
it keeps (entry ``archive.made``).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import BinaryIO
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile
from zlib import error as DeflateError  # noqa: N812  # an exception, whose name the library wrote small

from audit.package import Package
from audit.seda import CONTENT, DIGEST, MANIFEST, NAMESPACE, PackagedFile, SedaInvalid

MAX_FILES = 1_000_000
MAX_FINDINGS = 100

# What the standard library raises at files that cannot be read and at bytes that are no archive.
UNREADABLE = (BadZipFile, DeflateError, OSError, EOFError, ValueError, RuntimeError, KeyError, NotImplementedError)

_CHUNK_BYTES = 1_048_576
_MAX_TEXT = 1_000
_MAX_DEPTH = 64
_PATH = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
_SHA512 = re.compile(r"[0-9a-f]{128}", re.ASCII)
_SIZE = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PackageVerdict:
    """What was found. ``manifest_sha256``: of the manifest as it is, in hexadecimal; empty without one."""

    files: int
    manifest_sha256: str
    findings: list[str]


def check_package(package: Package) -> PackageVerdict:
    """Compare a package with its manifest. What is wrong with it is a finding, never an error."""
    digest = sha256()
    try:
        with package.open(MANIFEST) as manifest:
            listed = read_manifest(_read(manifest, digest.update))
        names = list(package.names())
    except SedaInvalid as error:
        return PackageVerdict(0, digest.hexdigest(), [f"{MANIFEST}: {error}"])
    except UNREADABLE as error:
        return PackageVerdict(0, "", [f"{MANIFEST}: it cannot be read ({type(error).__name__})"])
    findings = [*_unlisted(names, listed), *_differences(package, set(names), listed.values())]
    return PackageVerdict(len(listed), digest.hexdigest(), findings[:MAX_FINDINGS])


def read_manifest(chunks: Iterable[bytes]) -> dict[str, PackagedFile]:
    """The files of a manifest by their path below ``content/``. Raises :class:`SedaInvalid`."""
    reader = _Reader()
    parser = ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    # Without a document type there are no entities, which would grow.
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except SedaInvalid:
        raise
    except (ExpatError, LookupError, ValueError):
        raise SedaInvalid("not well-formed XML") from None
    return reader.files


class _Reader:
    """Takes the files out of a manifest. What else stands in it is the archives service's to judge."""

    def __init__(self) -> None:
        self.files: dict[str, PackagedFile] = {}
        self._depth = 0
        self._object: dict[str, str] | None = None
        self._texts: list[str] | None = None

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise SedaInvalid("its elements are nested too deep")
        if self._depth == 1 and name != f"{NAMESPACE} ArchiveTransfer":
            raise SedaInvalid("not an ArchiveTransfer of SEDA 2.3")
        local = _local(name)
        if local == "BinaryDataObject":
            self._object = {}
        elif self._object is not None and local in ("Uri", "MessageDigest", "Size"):
            if local in self._object:
                raise SedaInvalid(f"a file has two of {local}")
            self._texts = []
            if local == "MessageDigest" and attributes.get("algorithm") != DIGEST:
                raise SedaInvalid(f"a digest is not {DIGEST}")

    def end(self, name: str) -> None:
        self._depth -= 1
        local = _local(name)
        if local == "BinaryDataObject":
            self._add(self._object or {})
            self._object = None
        elif self._object is not None and self._texts is not None:
            self._object[local] = "".join(self._texts)
        self._texts = None

    def text(self, text: str) -> None:
        if self._texts is not None:
            self._texts.append(text)
            if len(text) > _MAX_TEXT or len(self._texts) > _MAX_TEXT:
                raise SedaInvalid("the description of a file is too long")

    def doctype(self, *_: object) -> None:
        raise SedaInvalid("it has a document type")

    def _add(self, described: Mapping[str, str]) -> None:
        uri, digest, size = (described.get(name, "") for name in ("Uri", "MessageDigest", "Size"))
        path = uri.removeprefix(CONTENT)
        if not uri.startswith(CONTENT) or not _PATH.fullmatch(path):
            raise SedaInvalid(f"the path of a file is not one below {CONTENT}")
        if not _SHA512.fullmatch(digest) or (size and not _SIZE.fullmatch(size)):
            raise SedaInvalid("a file without its digest or with a wrong size")
        if path in self.files or len(self.files) >= MAX_FILES:
            raise SedaInvalid("a file is listed twice, or there are too many")
        self.files[path] = PackagedFile(path, int(size or 0), digest)


def _unlisted(names: Iterable[str], listed: Mapping[str, PackagedFile]) -> Iterator[str]:
    seen: set[str] = {MANIFEST}
    for name in names:
        if name == MANIFEST:
            continue
        if name in seen:
            yield f"{shown(name)}: it is there twice"
        elif not name.startswith(CONTENT) or name.removeprefix(CONTENT) not in listed:
            yield f"{shown(name)}: the manifest does not list it"
        seen.add(name)


def _differences(package: Package, names: set[str], listed: Iterable[PackagedFile]) -> Iterator[str]:
    for file in listed:
        name = CONTENT + file.path
        if name not in names:
            yield f"{name}: the manifest lists it, and it is not there"
        elif (difference := _difference(package, name, file)) is not None:
            yield f"{name}: {difference}"


def _difference(package: Package, name: str, file: PackagedFile) -> str | None:
    digest, size = sha512(), 0
    try:
        with package.open(name) as opened:
            for chunk in _read(opened, digest.update):
                size += len(chunk)
                if size > file.size:
                    return "it is larger than the manifest says"
    except UNREADABLE as error:
        return f"it cannot be read ({type(error).__name__})"
    if (size, digest.hexdigest()) != (file.size, file.sha512):
        return "its content is not the one of the manifest"
    return None


def _read(opened: BinaryIO, update: Callable[[bytes], None]) -> Iterator[bytes]:
    while chunk := opened.read(_CHUNK_BYTES):
        update(chunk)
        yield chunk


def _local(name: str) -> str:
    """The name of one of SEDA's elements; empty for another's."""
    return name.removeprefix(f"{NAMESPACE} ") if name.startswith(f"{NAMESPACE} ") else ""


def shown(text: str) -> str:
    """A text found in a package, fit for a terminal."""
    return ascii(text[:300])[1:-1]
