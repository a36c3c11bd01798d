"""A holder's addresses, looked up in a thread of its own.

The event loop's threads are few and shared: a name server that hangs for one holder would keep every other holder's
lookups waiting. Here a holder has one lookup at a time, in a thread that ends with it; what it finds serves for half a
minute.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

KEPT_SECONDS = 30.0


class Resolver:
    """Belongs to one event loop, which alone may touch it."""

    def __init__(self, host: str, port: int, *, name: str) -> None:
        self._host = host
        self._port = port
        self._name = name
        self._is_literal = _is_address(host)
        self._known: Sequence[str] = (host,) if self._is_literal else ()
        self._known_until = float("inf") if self._is_literal else float("-inf")
        self._lookup: asyncio.Future[Sequence[str]] | None = None

    async def addresses(self, loop: asyncio.AbstractEventLoop) -> Sequence[str]:
        """At least one. Raises ``OSError``; a caller that stops waiting leaves the lookup to the others."""
        if loop.time() < self._known_until:
            return self._known
        if self._lookup is None:
            self._lookup = self._start(loop)
        return await asyncio.shield(self._lookup)

    def forget(self) -> None:
        """None of them took a connection: look the name up again."""
        if not self._is_literal:
            self._known_until = float("-inf")

    def _start(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[Sequence[str]]":
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"resolve-{self._name}")
        lookup = loop.run_in_executor(thread, _look_up, self._host, self._port)
        # No other lookup comes to it: it ends with this one, however long that hangs.
        thread.shutdown(wait=False)
        lookup.add_done_callback(partial(self._keep, loop))
        return lookup

    def _keep(self, loop: asyncio.AbstractEventLoop, lookup: "asyncio.Future[Sequence[str]]") -> None:
        self._lookup = None
        # Asked for here, so that a failure nobody waited for is not reported as forgotten.
        if not lookup.cancelled() and lookup.exception() is None:
            self._known, self._known_until = lookup.result(), loop.time() + KEPT_SECONDS


def _look_up(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        # A label that no name can have.
        raise OSError("not a host name") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
