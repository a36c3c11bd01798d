"""ASGI by its bare types, and a whole answer as a value."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

WHOLE_REPLY = "accord.whole_reply"
"""Key of a scope: ``(status, head, body) -> bool`` sends a whole answer at once; false: it did not, send messages.

``head`` holds lines of our own constants, each with its end; nothing checks them.
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer. ``repr`` leaves the body out: it may be personal."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def __repr__(self) -> str:
        return f"Reply({self.status})"

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = (*self.headers, (b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    def send_whole(self, scope: Scope) -> bool:
        """Send it in one write where the server can; false when it did not."""
        whole = scope.get(WHOLE_REPLY)
        return whole is not None and whole(self.status, _lines(self.headers), self.body)


@lru_cache(maxsize=64)
def _lines(headers: tuple[Header, ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
