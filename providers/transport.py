"""The one HTTP client to a holder: keep-alive connections, bounded in time, in size and in number.

Ours because it is on the data path: a call costs half of the leanest client's, and it runs in the event loop, with no
thread beside it but one for names (decision 9). No redirect is followed, no proxy of the environment used, no
compressed body asked for.

What belongs to all datasets of a holder is here: its connections, how many calls are under way, and the breaker that
opens when the holder cannot be reached. What belongs to one dataset is in ``guard.py``.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from functools import cache
from math import ceil
from typing import TypeAlias
from urllib.parse import quote_plus, urlsplit

from providers.access import TOKEN, AccessTokens
from providers.breaker import Breaker
from providers.config import HolderConfig
from providers.connection import Connection, ConnectionBroken, ReplyInvalid
from providers.errors import AnswerInvalid, HolderBusy, HolderCutOff, HolderTimeout
from providers.port import HolderReply, HolderRequest
from providers.resolver import Resolver

RETRY_SECONDS = 30
IDLE_SECONDS = 30.0
"""A connection idle for longer is not used again: most servers close theirs after 60 s or more."""

Tell: TypeAlias = Callable[[str, str, float], None]
"""What an operator wants to know: ``down`` or ``back``, of which holder or dataset, for how many seconds at least."""


class Transport:
    """Calls one holder. Raises only :class:`providers.errors.ProviderError`."""

    def __init__(
        self,
        holder: str,
        config: HolderConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        tell: Tell = lambda _word, _what, _seconds: None,
    ) -> None:
        if config.credentials is None and not TOKEN.fullmatch(config.token):
            # Never repeated: it is a secret, whatever else it is.
            raise ValueError(f"{holder}: the access token is not one (RFC 6750 section 2.1)")
        self._holder = holder
        self._config = config
        parts = urlsplit(config.base_url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        host = parts.netloc.rpartition("@")[2]
        self._prefix = f"GET {parts.path}"
        own = "".join([f"{name}: {_header_value(value)}\r\n" for name, value in config.headers])
        self._head = f" HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\nuser-agent: accord\r\n{own}"
        self._tokens = (
            None
            if config.credentials is None
            else AccessTokens(holder, config.credentials.request(prefix=parts.path, host=host), clock=clock)
        )
        self._idle: list[Connection] = []
        """The last one used is the first one taken: those that are not needed grow old."""
        self._in_flight = 0
        self._resolver = Resolver(self._host, self._port, name=holder)
        self._breaker = Breaker()
        self._clock = clock
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept calls; a connection is made when one needs it."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let go of the connections."""
        self._loop = None
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            self._idle.pop().abort()

    def check(self) -> None:
        """Raise why no call would be made now, if so; nothing is counted."""
        if self._loop is None:
            raise HolderCutOff(self._holder, retry_in=RETRY_SECONDS)
        if wait := self._breaker.wait(self._clock()):
            raise HolderCutOff(self._holder, retry_in=ceil(wait))
        if self._in_flight >= self._config.max_in_flight:
            raise HolderBusy(self._holder, retry_in=1)

    async def send(self, request: HolderRequest) -> HolderReply:
        """One GET, whole within the deadline."""
        self.check()
        era = self._breaker.enter()
        self._in_flight += 1
        try:
            reply = await self._authorized(request)
        except TimeoutError:
            self._reached(era)
            raise HolderTimeout(self._holder, retry_in=RETRY_SECONDS) from None
        except ReplyInvalid:
            self._reached(era)
            raise AnswerInvalid(self._holder) from None
        except (ConnectionBroken, OSError):
            self._not_reached(era)
            # Neither it nor its cause goes on: an error of the network may quote what was asked.
            raise HolderCutOff(self._holder, retry_in=RETRY_SECONDS) from None
        except BaseException:
            # A caller that went away says nothing of the holder.
            self._breaker.left(era)
            raise
        else:
            self._reached(era)
            return reply
        finally:
            self._in_flight -= 1

    async def _authorized(self, request: HolderRequest) -> HolderReply:
        """The call with our token, given for good or for a while."""
        if self._tokens is None:
            return await self._call(self._bytes(request, self._config.token))
        # One deadline for both questions, and for the wait while another caller asks for the token.
        async with asyncio.timeout(self._config.timeout):
            reply = await self._call(self._bytes(request, await self._tokens.current(self._call)))
        if reply.status == 401:  # noqa: PLR2004  # RFC 6750 section 3.1
            self._tokens.doubt()
        return reply

    def _reached(self, era: int) -> None:
        if self._breaker.succeeded(era):
            self._tell("back", self._holder, 0.0)

    def _not_reached(self, era: int) -> None:
        if self._breaker.failed(era, self._clock()):
            self._tell("down", self._holder, self._breaker.rest)

    async def _call(self, request: bytes) -> HolderReply:
        """Ask on an idle connection, and again where the holder had closed it meanwhile (RFC 9112 section 9.3.1)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.timeout
        while (connection := self._take_idle(loop)) is not None:
            try:
                return await self._ask(connection, request, deadline)
            except ConnectionBroken:
                if connection.has_heard:
                    raise
        return await self._ask(await self._connect(loop, deadline), request, deadline)

    async def _ask(self, connection: Connection, request: bytes, deadline: float) -> HolderReply:
        try:
            reply = await connection.ask(request, deadline=deadline)
        except BaseException:
            # A caller that went away too: an answer under way must not meet the next question.
            connection.abort()
            raise
        if connection.is_usable and self._loop is not None:
            self._idle.append(connection)
            if self._sweeping is None:
                self._sweeping = self._loop.call_later(IDLE_SECONDS, self._sweep, self._loop)
        else:
            connection.abort()
        return reply

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long, and look again while anything is idle."""
        oldest = loop.time() - IDLE_SECONDS
        old = [connection for connection in self._idle if connection.idle_since <= oldest]
        self._idle = [connection for connection in self._idle if connection.idle_since > oldest]
        for connection in old:
            connection.abort()
        self._sweeping = loop.call_later(IDLE_SECONDS, self._sweep, loop) if self._idle else None

    def _take_idle(self, loop: asyncio.AbstractEventLoop) -> Connection | None:
        oldest = loop.time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Connection:
        """A new connection, to the first of the holder's addresses that takes it; each has its part of the time."""
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._resolver.addresses(loop)
        except TimeoutError:
            raise ConnectionBroken from None
        for left in range(len(addresses), 0, -1):
            now = loop.time()
            try:
                async with asyncio.timeout_at(now + (deadline - now) / left):
                    return await self._connect_to(loop, addresses[-left])
            except OSError:
                # TimeoutError is one: a holder that takes no connection is not there, however it shows it.
                continue
        self._resolver.forget()
        raise ConnectionBroken

    async def _connect_to(self, loop: asyncio.AbstractEventLoop, address: str) -> Connection:
        _, connection = await loop.create_connection(
            lambda: Connection(loop),
            address,
            self._port,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        return connection

    def _bytes(self, request: HolderRequest, token: str) -> bytes:
        target = f"{request.path}?{_query(request.query)}" if request.query else request.path
        own = "".join([f"{name}: {_header_value(value)}\r\n" for name, value in request.headers])
        return f"{self._prefix}{target}{self._head}authorization: Bearer {token}\r\n{own}\r\n".encode("ascii")


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    """``application/x-www-form-urlencoded``, as the holders' own clients send it."""
    # Most values are plain: asking first costs a third of encoding.
    return "&".join(
        [f"{_name(name)}={value if value.isalnum() and value.isascii() else _encoded(value)}" for name, value in pairs]
    )


def _header_value(text: str) -> str:
    """A value that stays on its line (RFC 9110 section 5.5). Raises ``ValueError``."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header's value: visible ASCII")
    return text


_name = cache(quote_plus)
"""Names are the manifests', and few; a value is somebody's, and never remembered."""
_ENCODED = [quote_plus(bytes([byte])) for byte in range(256)]
"""How each byte is written."""


def _encoded(text: str) -> str:
    """As ``quote_plus``, which takes three times as long."""
    return "".join([_ENCODED[byte] for byte in text.encode()])
