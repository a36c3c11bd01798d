"""A log behind a web server, as Accord serves it under ``/log/`` or any server a folder of it.

Every answer is bounded in size, every request in time. A token goes over TLS or to this machine alone, and never along
with a redirect: none is followed.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import urlsplit

import httpx

from audit.checkpoint import MAX_NOTE_BYTES
from audit.layout import CHECKPOINT, WIDTH, TilePath
from audit.sources.bundles import MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES
from audit.sources.files import CHECKPOINTS, FileInvalid, details_path, records_of
from audit.sources.port import SourceUnavailable
from audit.sources.published import NOTE_MEMBERS, PublishedReader

TIMEOUT_SECONDS = 15.0
"""Without a byte."""
WHOLE_SECONDS = 120.0
"""For one file."""
MAX_LIST_BYTES = 2**33
"""Of the checkpoints or of what was erased: some ten millions of lines."""
MAX_PAGE_BYTES = 2**26
"""Of a page of checkpoints."""
AT_ONCE = 4
"""Requests under way of one process."""
_HELD_BYTES = 2**20
"""Of a list; a longer one goes to a temporary file."""
_TRIES = 3
_PAUSE_SECONDS = 1.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE = 200, 401, 403, 404, 410
_TRY_AGAIN = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class WebSource:
    """The address that ``checkpoint`` lies below; ``token``: a bearer token, for what is not public."""

    url: str
    token: str | None = None

    def open(self) -> PublishedReader:
        """Raises :class:`SourceUnavailable` for an address that cannot be one, or that a token must not go to."""
        parts = urlsplit(self.url)
        if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
            raise SourceUnavailable("an address is http(s)://host/path, and has nothing after the path")
        if self.token is not None and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise SourceUnavailable("a token is sent over https alone")
        return PublishedReader(WebFiles(self.url.rstrip("/"), self.token))

    def __repr__(self) -> str:
        return f"WebSource({self.url!r})"


class WebFiles:
    """Files by their path in the layout."""

    def __init__(self, base: str, token: str | None) -> None:
        # Compressed, a little answer may grow without bound while it is read.
        headers = {"Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._base = base
        self._token = token
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def read(self, path: str, limit: int) -> bytes | None:
        """A file. Raises :class:`SourceUnavailable` when it is refused, too large, or does not come."""
        content = BytesIO()
        return content.getvalue() if self._save(path, limit, content) else None

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Files, a few at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(paths, pool.map(self.read, paths, paths.values()), strict=True))

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
                there = self._save(path, MAX_LIST_BYTES, kept) or (path == CHECKPOINTS and self._save_pages(kept))
            except OSError as error:
                raise SourceUnavailable(f"{path} cannot be kept in a temporary file ({type(error).__name__})") from None
            if there:
                closed_without_a_list.pop_all()
        return kept if there else None

    def _save_pages(self, kept: IO[bytes]) -> bool:
        """Whether there were any."""
        after = 0
        while page := self.read(f"checkpoints?after={after}", MAX_PAGE_BYTES):
            kept.write(page)
            if kept.tell() > MAX_LIST_BYTES:
                raise SourceUnavailable(f"the checkpoints have more than the {MAX_LIST_BYTES} bytes that they may have")
            last = _last_size(page)
            if last is None or last <= after:
                break
            after = last
        return kept.tell() > 0

    def extent(self, size: int) -> tuple[int, bool, bool]:
        """Whether the newest entries are shown, and their details.

        Raises :class:`SourceUnavailable` when there is a token and it does not open the entries.
        """
        number, width = (size - 1) // WIDTH, (size - 1) % WIDTH + 1
        shown = self._shown(str(TilePath("entries", number, width)), str(TilePath("entries", number)))
        if self._token is not None and not shown:
            raise SourceUnavailable("the server does not show the entries to whoever has this token")
        return 0, shown, shown and self._shown(details_path(number, width), details_path(number))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _shown(self, *paths: str) -> bool:
        return any(self._get(path, max(MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES), BytesIO()) == _OK for path in paths)

    def _save(self, path: str, limit: int, into: IO[bytes]) -> bool:
        """Whether there is such a file. Raises :class:`SourceUnavailable`."""
        status = self._get(path, limit, into)
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise SourceUnavailable(f"{path}: the server does not show it to whoever has this token, or none")
        if status not in {_OK, _NOT_FOUND, _GONE}:
            raise SourceUnavailable(f"{path}: the server answered with status {status}")
        return status == _OK

    def _get(self, path: str, limit: int, into: IO[bytes]) -> int:
        """The status; asked again a few times while the server says that it may do better later."""
        status = 0
        for number in range(_TRIES):
            if number:
                time.sleep(_PAUSE_SECONDS * number)
            into.seek(0)
            into.truncate(0)
            try:
                status = self._get_once(path, limit, into)
            except httpx.HTTPError as error:
                if number == _TRIES - 1:
                    raise SourceUnavailable(f"{path}: no answer ({type(error).__name__})") from None
                continue
            if status not in _TRY_AGAIN:
                break
        return status

    def _get_once(self, path: str, limit: int, into: IO[bytes]) -> int:
        length, deadline = 0, time.monotonic() + WHOLE_SECONDS
        with self._client.stream("GET", f"{self._base}/{path}") as answer:
            if answer.status_code == _OK:
                for chunk in answer.iter_bytes():
                    length += len(chunk)
                    if length > limit:
                        raise SourceUnavailable(f"{path} has more than the {limit} bytes that it may have")
                    if time.monotonic() > deadline:
                        raise SourceUnavailable(f"{path} did not come within {WHOLE_SECONDS:.0f} seconds")
                    into.write(chunk)
            return answer.status_code


def _last_size(page: bytes) -> int | None:
    try:
        return max((int(str(record["size"])) for record in records_of(page, NOTE_MEMBERS)), default=None)
    except FileInvalid:
        return None
