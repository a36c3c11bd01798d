"""HTTP/1.1 with bounds: how large the head of a request may be and how long it may take to arrive.

uvicorn's parser has neither; without them one connection could hold memory or a socket for ever. The ordinary case,
a whole head in one read, costs an addition and a comparison.

An application may also send its answer in one write (:data:`exchange.asgi.WHOLE_REPLY`): by ASGI's two messages it is
two system calls and half of what uvicorn costs.
"""

from asyncio import TimerHandle
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from exchange.asgi import WHOLE_REPLY

MAX_HEAD_BYTES = 32_768
"""Request line and headers together; a consent token is at most 16 KiB."""
HEAD_TIMEOUT = 10.0
"""Seconds from the first byte of a head, or from the connection, to the end of the head."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 48\r\nconnection: close\r\n\r\nThe head of a request is limited to 32768 bytes\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, refusing heads that are too large (RFC 6585 section 5) or too slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        """Bytes read of a head that is not complete."""
        self._in_body = False
        self._refused = False
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection that never asks anything is closed."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_TIMEOUT, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The timer goes with the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what has come of a head that is not complete."""
        if not self._in_body:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes == 0 or self._refused:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def on_headers_complete(self) -> None:
        """The head is whole: what follows is a body, which has bounds of its own."""
        self._stop_waiting()
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refuse()
        self._head_bytes, self._in_body = 0, True
        if not self._refused:
            super().on_headers_complete()
            scope: Any = self.scope
            scope[WHOLE_REPLY] = partial(_send_whole, self.cycle)

    def on_body(self, body: bytes) -> None:
        """Nothing of a refused request is kept."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Whatever comes next begins a new head."""
        self._in_body = False
        if not self._refused:
            super().on_message_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self) -> None:
        self._refused = True
        self._stop_waiting()
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}


def _send_whole(cycle: RequestResponseCycle, status: int, headers: bytes, body: bytes) -> bool:
    """Send an answer; or return false, for a connection that ends, is slow or is gone takes the ordinary way."""
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive:
        return False
    cycle.response_started = cycle.response_complete = True
    common = b"".join([b"%b: %b\r\n" % header for header in cycle.default_headers])
    cycle.transport.write(
        b"%b%b%bcontent-length: %d\r\n\r\n%b" % (_STATUS_LINES[status], common, headers, len(body), body)
    )
    cycle.message_event.set()
    cycle.on_response()
    return True
