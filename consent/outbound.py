"""How consent speaks to another server: over TLS, with every answer bounded in bytes and in time."""

import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

TIMEOUT = 5.0
"""Seconds for each wait on the network, and for the whole body of one answer."""
ANSWER_LIMIT = 65_536
"""Bytes of one answer."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BoundedTransport(httpx2.BaseTransport):
    """A pooled transport that many short-lived clients share; thread-safe as HTTPX's own."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._inner = httpx2.HTTPTransport(verify=ssl.create_default_context())

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; an answer that is compressed unasked could not be bounded and is refused."""
        answer = self._inner.handle_request(request)
        stream = answer.stream
        if "content-encoding" in answer.headers or not isinstance(stream, httpx2.SyncByteStream):
            answer.close()
            raise httpx2.DecodingError("an encoded answer was not asked for")
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers,
            stream=_BoundedStream(stream, self._timeout),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the pool."""
        self._inner.close()


class _BoundedStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, timeout: float) -> None:
        self._inner = inner
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        left, deadline = ANSWER_LIMIT, time.monotonic() + self._timeout
        for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError("answer too long")
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("answer too slow")
            yield chunk

    def close(self) -> None:
        self._inner.close()


def check_transport(url: str) -> None:
    """Refuse plain http but to this machine itself. Raises :class:`ValueError`."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{parts.scheme}://{parts.netloc}: https is required, or http on a loopback address")


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as a Content-Security-Policy names them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
