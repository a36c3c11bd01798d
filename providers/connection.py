"""One keep-alive HTTP/1.1 connection to a holder: a request at a time, its answer bounded in size (RFC 9112).

Framing is llhttp's, the parser of Node.js, in its strict mode. What it does not bound is bounded here. A connection
on which anything unexpected came is closed, never used again.
"""

import asyncio
from typing import cast

import httptools

from providers.port import HolderReply

MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 1_000_000

_KEPT_HEADERS = {b"retry-after": "retry-after", b"ratelimit-reset": "ratelimit-reset"}
_FRAMING_HEADERS = (b"content-length", b"transfer-encoding")
_FIRST_FINAL_STATUS = 200
_LONGEST_KEPT = 64
"""Characters of a header that is kept: a number or a date."""


class ConnectionBroken(Exception):  # a state of the wire
    """The connection ended before the whole answer."""


class ReplyInvalid(Exception):  # a state of the wire
    """Not HTTP, or larger than the bounds."""


class Connection(asyncio.Protocol):
    """A connection that is idle, or waits for one answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[HolderReply] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """Looks at the deadline. One serves many answers: to make and cancel one for each is a fifth of their cost."""
        self._fresh_answer()
        self.idle_since = 0.0
        """``loop.time()`` of the last answer."""

    @property
    def is_usable(self) -> bool:
        """Open, and nothing is under way."""
        return self._transport is not None and not self._transport.is_closing() and self._waiter is None

    @property
    def has_heard(self) -> bool:
        """Whether a byte of the answer under way has come."""
        return self._received > 0

    def ask(self, request: bytes, *, deadline: float) -> "asyncio.Future[HolderReply]":
        """Send a whole request; ``deadline`` in the loop's time, and no earlier than that of the question before.

        The future ends in a reply, ``ConnectionBroken``, ``ReplyInvalid`` or ``TimeoutError``.
        """
        waiter = self._loop.create_future()
        if self._transport is None or not self.is_usable:
            waiter.set_exception(ConnectionBroken())
            return waiter
        self._fresh_answer()
        self._waiter = waiter
        self._deadline = deadline
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look_at_deadline)
        self._transport.write(request)
        return waiter

    def abort(self) -> None:
        """Close at once; an answer under way is lost."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, within the bounds."""
        if self._waiter is None:
            # Nothing was asked: whatever this is, the next answer must not begin with it.
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ReplyInvalid())
            return
        if self._received > (MAX_HEAD_BYTES + MAX_BODY_BYTES if self._in_body else MAX_HEAD_BYTES):
            self._fail(ReplyInvalid())

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; of an answer too, when nothing else says where it ends (RFC 9112 section 6.3)."""
        self._transport = None
        if self._waiter is not None and exc is None and self._in_body and not self._is_framed:
            self._finish()
        self._fail(ConnectionBroken())
        if self._timer is not None:
            self._timer.cancel()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins; one to nothing that was asked must not wait for the next question."""
        if self._waiter is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what the adapters read, note what says where the body ends."""
        lower = name.lower()
        if lower in _FRAMING_HEADERS:
            self._is_framed = True
        elif lower in _KEPT_HEADERS and len(value) <= _LONGEST_KEPT:
            self._headers[_KEPT_HEADERS[lower]] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size > MAX_BODY_BYTES:
            self._fail(ReplyInvalid())
        elif self._waiter is not None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one (RFC 9110 section 15.2)."""
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            self._in_body = False
            return
        keep = self._parser.should_keep_alive()
        self._finish()
        if not keep:
            self.abort()

    def _finish(self) -> None:
        waiter = self._take_waiter()
        if waiter is None:
            # A second answer to one question.
            self.abort()
        elif not waiter.done():
            self.idle_since = self._loop.time()
            waiter.set_result(HolderReply(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        self.abort()
        waiter = self._take_waiter()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() >= self._deadline:
            self._fail(TimeoutError())
        else:
            # It was made for an answer that has come since.
            self._timer = self._loop.call_at(self._deadline, self._look_at_deadline)

    def _take_waiter(self) -> "asyncio.Future[HolderReply] | None":
        waiter, self._waiter = self._waiter, None
        return waiter

    def _fresh_answer(self) -> None:
        self._received = self._size = 0
        self._body: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._in_body = self._is_framed = False
