"""A log behind a web server, as Accord serves it under ``/log/`` or any server a folder of it.

Every answer is bounded in size, every request in time. A token goes over TLS or to this machine alone, and never along
with a redirect: none is followed.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from audit.checkpoint import MAX_NOTE_BYTES
from audit.layout import CHECKPOINT, WIDTH, TilePath
from audit.sources.bundles import MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES
from audit.sources.files import CHECKPOINTS, FileInvalid, details_path, records_of
from audit.sources.port import SourceUnavailable
from audit.sources.published import MAX_LIST_BYTES, NOTE_MEMBERS, PublishedReader

TIMEOUT_SECONDS = 15.0
"""Without a byte."""
WHOLE_SECONDS = 120.0
"""For one file."""
AT_ONCE = 4
"""Requests under way of one process."""
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
        status, content = self._get(path, limit)
        if status in {_NOT_FOUND, _GONE}:
            return None
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise SourceUnavailable(f"{path}: the server does not show it to whoever has this token, or none")
        if status != _OK:
            raise SourceUnavailable(f"{path}: the server answered with status {status}")
        return content

    def read_all(self, paths: Mapping[str, int]) -> dict[str, bytes | None]:
        """Files, a few at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(paths, pool.map(self.read, paths, paths.values()), strict=True))

    def newest(self, *, cosigned: bool) -> bytes | None:
        """The newest checkpoint; that which a witness signed is some moments behind."""
        found = self.read(f"{CHECKPOINT}/cosigned", MAX_NOTE_BYTES) if cosigned else None
        return self.read(CHECKPOINT, MAX_NOTE_BYTES) if found is None else found

    def notes(self) -> bytes | None:
        """The earlier checkpoints: from one file, or page by page."""
        listed = self.read(CHECKPOINTS, MAX_LIST_BYTES)
        if listed is not None:
            return listed
        pages: list[bytes] = []
        after, length = 0, 0
        while page := self.read(f"checkpoints?after={after}", MAX_LIST_BYTES - length):
            pages.append(page)
            length += len(page)
            last = _last_size(page)
            if last is None or last <= after:
                break
            after = last
        return b"".join(pages) or None

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
        return any(self._get(path, max(MAX_BUNDLE_BYTES, MAX_DETAILS_BYTES))[0] == _OK for path in paths)

    def _get(self, path: str, limit: int) -> tuple[int, bytes]:
        """Status and content; asked again a few times while the server says that it may do better later."""
        status, content = 0, b""
        for number in range(_TRIES):
            if number:
                time.sleep(_PAUSE_SECONDS * number)
            try:
                status, content = self._get_once(path, limit)
            except httpx.HTTPError as error:
                if number == _TRIES - 1:
                    raise SourceUnavailable(f"{path}: no answer ({type(error).__name__})") from None
                continue
            if status not in _TRY_AGAIN:
                break
        return status, content

    def _get_once(self, path: str, limit: int) -> tuple[int, bytes]:
        content, deadline = bytearray(), time.monotonic() + WHOLE_SECONDS
        with self._client.stream("GET", f"{self._base}/{path}") as answer:
            if answer.status_code == _OK:
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > limit:
                        raise SourceUnavailable(f"{path} has more than the {limit} bytes that it may have")
                    if time.monotonic() > deadline:
                        raise SourceUnavailable(f"{path} did not come within {WHOLE_SECONDS:.0f} seconds")
            return answer.status_code, bytes(content)


def _last_size(page: bytes) -> int | None:
    try:
        return max((int(str(record["size"])) for record in records_of(page, NOTE_MEMBERS)), default=None)
    except FileInvalid:
        return None
