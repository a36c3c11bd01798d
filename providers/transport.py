"""The one HTTP client to a holder: keep-alive connections, bounded in time, in size and in number.

Ours because it is on the data path: a call costs half of the leanest client's, and it runs in the event loop, with no
thread beside it (decision 9). No redirect is followed, no proxy of the environment used, no compressed body asked for.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_plus, urlsplit

from providers.config import HolderConfig
from providers.connection import Connection, ConnectionBroken, ReplyInvalid
from providers.errors import AnswerInvalid, HolderBusy, HolderTimeout, HolderUnreachable
from providers.port import HolderReply, HolderRequest

RETRY_SECONDS = 30
IDLE_SECONDS = 30.0
"""A connection idle for longer is not used again: most servers close theirs after 60 s or more."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Transport:
    """Calls one holder. Raises only :class:`providers.errors.ProviderError`."""

    def __init__(self, holder: str, config: HolderConfig) -> None:
        if not _TOKEN.fullmatch(config.token):
            # Never repeated: it is a secret, whatever else it is.
            raise ValueError(f"{holder}: the access token is not one (RFC 6750 section 2.1)")
        self._holder = holder
        self._config = config
        parts = urlsplit(config.base_url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = f"GET {parts.path}"
        self._head = (
            f" HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\nauthorization: Bearer {config.token}\r\n"
            "accept: application/json\r\nuser-agent: accord\r\n"
        )
        self._idle: list[Connection] = []
        """The last one used is the first one taken: those that are not needed grow old."""
        self._in_flight = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Accept calls; a connection is made when one needs it."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let go of the connections."""
        self._loop = None
        while self._idle:
            self._idle.pop().abort()

    async def send(self, request: HolderRequest) -> HolderReply:
        """One GET, whole within the deadline."""
        loop = self._loop
        if loop is None:
            raise HolderUnreachable(self._holder, retry_in=RETRY_SECONDS)
        if self._in_flight >= self._config.max_in_flight:
            raise HolderBusy(self._holder, retry_in=1)
        self._in_flight += 1
        try:
            return await self._call(loop, self._bytes(request))
        except TimeoutError:
            raise HolderTimeout(self._holder, retry_in=RETRY_SECONDS) from None
        except ReplyInvalid:
            raise AnswerInvalid(self._holder) from None
        except (ConnectionBroken, OSError):
            # Neither it nor its cause goes on: an error of the network may quote what was asked.
            raise HolderUnreachable(self._holder, retry_in=RETRY_SECONDS) from None
        finally:
            self._in_flight -= 1

    async def _call(self, loop: asyncio.AbstractEventLoop, request: bytes) -> HolderReply:
        """Ask on an idle connection, and again where the holder had closed it meanwhile (RFC 9112 section 9.3.1)."""
        deadline = loop.time() + self._config.timeout
        while (connection := self._take_idle(loop)) is not None:
            try:
                return await self._ask(connection, request, deadline)
            except ConnectionBroken:
                if connection.has_heard:
                    raise
        async with asyncio.timeout_at(deadline):
            connection = await self._connect(loop)
        return await self._ask(connection, request, deadline)

    async def _ask(self, connection: Connection, request: bytes, deadline: float) -> HolderReply:
        try:
            reply = await connection.ask(request, deadline=deadline)
        except BaseException:
            # A caller that went away too: an answer under way must not meet the next question.
            connection.abort()
            raise
        if connection.is_usable and self._loop is not None:
            self._idle.append(connection)
        else:
            connection.abort()
        return reply

    def _take_idle(self, loop: asyncio.AbstractEventLoop) -> Connection | None:
        oldest = loop.time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        _, connection = await loop.create_connection(
            lambda: Connection(loop),
            self._host,
            self._port,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        return connection

    def _bytes(self, request: HolderRequest) -> bytes:
        target = f"{request.path}?{_query(request.query)}" if request.query else request.path
        own = "".join([f"{name}: {_header_value(value)}\r\n" for name, value in request.headers])
        return f"{self._prefix}{target}{self._head}{own}\r\n".encode("ascii")


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    """``application/x-www-form-urlencoded``, as the holders' own clients send it."""
    return "&".join([f"{_name(name)}={_encoded(value)}" for name, value in pairs])


def _header_value(text: str) -> str:
    """A value that stays on its line (RFC 9110 section 5.5). Raises ``ValueError``."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header's value: visible ASCII")
    return text


_name = lru_cache(maxsize=1024)(quote_plus)


def _encoded(text: str) -> str:
    # Most are plain: asking first costs a tenth of encoding.
    return text if text.isascii() and text.replace("-", "").isalnum() else quote_plus(text)
