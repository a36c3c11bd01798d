"""A log behind a web server, as Accord serves it under ``/log/`` or any server a folder of it.

Every answer is bounded in size, every request in time. A token goes over TLS or to this machine alone, and never along
with a redirect: none is followed.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import urlsplit

from audit.checkpoint import MAX_NOTE_BYTES
from audit.layout import CHECKPOINT, WIDTH, TilePath
from audit.sources.bundles import MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES
from audit.sources.fetch import OK, Fetcher
from audit.sources.files import CHECKPOINTS, FileInvalid, details_path, record_of
from audit.sources.port import SourceUnavailable
from audit.sources.published import NOTE_MEMBERS, PublishedReader

LIST_SECONDS = 1_800.0
"""For a list, also one that comes page by page."""
MAX_LIST_BYTES = 2**33
"""Of the checkpoints or of what was erased: some ten millions of lines."""
MAX_PAGE_BYTES = 2**24
"""Of a page of checkpoints."""
_HELD_BYTES = 2**20
"""Of a list; a longer one goes to a temporary file."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NOT_FOUND, _GONE = 404, 410
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class WebSource:
    """The address that ``checkpoint`` lies below; ``token``: a bearer token, for what is not public.

    ``details``: whether they are read, which with a token must then be there.
    """

    url: str
    token: str | None = None
    details: bool = field(default=True, kw_only=True)

    def open(self) -> PublishedReader:
        """Raises :class:`SourceUnavailable` for an address that cannot be one, or that a token must not go to."""
        parts = urlsplit(self.url)
        if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
            raise SourceUnavailable("an address is http(s)://host/path, and has nothing after the path")
        if self.token is not None and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise SourceUnavailable("a token is sent over https alone")
        return PublishedReader(WebFiles(self.url.rstrip("/"), self.token, details=self.details), grows=True)

    def __repr__(self) -> str:
        return f"WebSource({self.url!r})"


class WebFiles:
    """Files by their path in the layout."""

    def __init__(self, base: str, token: str | None, *, details: bool) -> None:
        self._token = token
        self._details = details
        self._fetcher = Fetcher(base, token)

    def read(self, path: str, limit: int) -> bytes | None:
        """A file. Raises :class:`SourceUnavailable` when it is refused, too large, or does not come."""
        content = BytesIO()
        return _given(path, self._fetcher.get(path, limit, content), content.getvalue())

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Files, a few at once."""
        answers = self._fetcher.get_all(paths)
        return {path: _given(path, status, content) for path, (status, content) in answers.items()}

    def newest(self, *, cosigned: bool) -> bytes | None:
        """The newest checkpoint; that which a witness signed is some moments behind."""
        found = self.read(f"{CHECKPOINT}/cosigned", MAX_NOTE_BYTES) if cosigned else None
        return self.read(CHECKPOINT, MAX_NOTE_BYTES) if found is None else found

    def lines(self, path: str) -> IO[bytes] | None:
        """A list, kept in a temporary file when it is long; the earlier checkpoints also page by page.

        Raises :class:`SourceUnavailable`, also when it cannot be kept.
        """
        with ExitStack() as closed_without_a_list:
            kept: IO[bytes] = closed_without_a_list.enter_context(SpooledTemporaryFile(_HELD_BYTES))
            try:
                status = self._fetcher.get(path, MAX_LIST_BYTES, kept, seconds=LIST_SECONDS)
                there = _given(path, status, b"") is not None or (path == CHECKPOINTS and self._save_pages(kept))
            except OSError as error:
                raise SourceUnavailable(f"{path} cannot be kept in a temporary file ({type(error).__name__})") from None
            if there:
                closed_without_a_list.pop_all()
        return kept if there else None

    def _save_pages(self, kept: IO[bytes]) -> bool:
        """Whether there were any."""
        after, deadline = 0, time.monotonic() + LIST_SECONDS
        while page := self.read(f"checkpoints?after={after}", MAX_PAGE_BYTES):
            kept.write(page)
            if kept.tell() > MAX_LIST_BYTES:
                raise SourceUnavailable(f"the checkpoints have more than the {MAX_LIST_BYTES} bytes that they may have")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"the checkpoints did not come within {LIST_SECONDS:.0f} seconds")
            last = _last_size(page)
            if last is None or last <= after:
                break
            after = last
        return kept.tell() > 0

    def extent(self, size: int) -> tuple[int, bool, bool]:
        """Whether the newest entries are shown, and their details.

        Raises :class:`SourceUnavailable` when there is a token and it does not open them. Details that are not there
        are taken as there with a token: they are missing.
        """
        number, width = (size - 1) // WIDTH, (size - 1) % WIDTH + 1
        shown = self._status(str(TilePath("entries", number, width)), str(TilePath("entries", number))) == OK
        if self._token is not None and not shown:
            raise SourceUnavailable("the server does not show the entries to whoever has this token")
        if not shown or not self._details:
            return 0, shown, False
        status = self._status(details_path(number, width), details_path(number))
        if self._token is not None and status in _REFUSED:
            problem = "the server does not show details to whoever has this token: --without-details leaves them out"
            raise SourceUnavailable(problem)
        return 0, shown, status == OK or self._token is not None

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def _status(self, *paths: str) -> int:
        """What the server says of a file that has one of these paths. Raises :class:`SourceUnavailable`."""
        status = _NOT_FOUND
        for path in paths:
            status = self._fetcher.get(path, max(MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES), BytesIO())
            if status == OK:
                return status
            _check_status(path, status)
        return status


def _given(path: str, status: int, content: bytes) -> bytes | None:
    """The content; ``None`` when there is no such file. Raises :class:`SourceUnavailable`."""
    if status in _REFUSED:
        raise SourceUnavailable(f"{path}: the server does not show it to whoever has this token, or none")
    _check_status(path, status)
    return content if status == OK else None


def _check_status(path: str, status: int) -> None:
    if status not in {OK, _NOT_FOUND, _GONE, *_REFUSED}:
        raise SourceUnavailable(f"{path}: the server answered with status {status}")


def _last_size(page: bytes) -> int | None:
    """The size that its last line says; ``None`` when that is none, which the list's reader finds."""
    try:
        return int(str(record_of(page.rstrip(b"\n").rpartition(b"\n")[2], 1, NOTE_MEMBERS)["size"]))
    except FileInvalid:
        return None
