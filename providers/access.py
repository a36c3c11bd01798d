"""Our access token at a holder that gives none for good: one after another, by client credentials.

The holder is asked once for many calls: who comes while it is being asked waits for the same answer
(RFC 6749 section 4.4).
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import orjson

from providers.errors import AnswerInvalid, HolderFailed, HolderRefused
from providers.port import HolderReply

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""A bearer token (RFC 6750 section 2.1)."""
LONGEST_TOKEN = 8_192
EARLY_SECONDS = 30.0
"""A token is replaced so long before its end, that no call is sent with one that ends on the way."""
UNSAID_SECONDS = 300
"""How long a token is used whose end the holder did not say."""
LONGEST_SECONDS = 86_400
DOUBT_SECONDS = 60.0
"""A token younger than this is not given up because one call was refused: it was not the token."""
RETRY_SECONDS = 60

_OK = 200
_REFUSALS = frozenset({400, 401, 403})

Ask = Callable[[bytes], Awaitable[HolderReply]]


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a holder's authorization server knows us by. ``path`` is below the holder's base URL."""

    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    path: str = "/token"

    def request(self, *, prefix: str, host: str) -> bytes:
        """The whole request, with ``client_secret_basic`` (RFC 6749 section 2.3.1). ``prefix``: of the base URL."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        form = "grant_type=client_credentials" + (f"&scope={quote_plus(self.scope)}" if self.scope else "")
        return (
            f"POST {prefix}{self.path} HTTP/1.1\r\nhost: {host}\r\n"
            f"authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
            "accept: application/json\r\nuser-agent: accord\r\n"
            f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(form)}\r\n\r\n{form}"
        ).encode("ascii")


class AccessTokens:
    """One holder's. Owned by one event loop; its lock makes one question of many."""

    def __init__(self, holder: str, request: bytes, *, clock: Callable[[], float]) -> None:
        self._holder = holder
        self._request = request
        self._clock = clock
        self._token = ""
        self._got_at = self._until = 0.0
        self._lock = asyncio.Lock()

    async def current(self, ask: Ask) -> str:
        """A token that lives. Raises a :class:`providers.errors.ProviderError`, or what ``ask`` raises."""
        if self._is_good():
            return self._token
        async with self._lock:
            if not self._is_good():
                self._keep(await ask(self._request))
        return self._token

    def doubt(self) -> None:
        """A call was refused with it: the next one asks for another, unless it is new."""
        if self._clock() - self._got_at > DOUBT_SECONDS:
            self._until = 0.0

    def _is_good(self) -> bool:
        return self._clock() < self._until

    def _keep(self, reply: HolderReply) -> None:
        if reply.status in _REFUSALS:
            raise HolderRefused(self._holder)
        if reply.status != _OK:
            raise HolderFailed(self._holder, retry_in=RETRY_SECONDS)
        token, seconds = self._read(reply.body)
        self._token, self._got_at = token, self._clock()
        self._until = self._got_at + max(1.0, seconds - EARLY_SECONDS)

    def _read(self, body: bytes) -> tuple[str, int]:
        """Token and life in seconds (RFC 6749 section 5.1)."""
        try:
            read = orjson.loads(body)
            token, seconds = read["access_token"], read.get("expires_in", UNSAID_SECONDS)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise AnswerInvalid(self._holder) from None
        is_token = isinstance(token, str) and len(token) <= LONGEST_TOKEN and TOKEN.fullmatch(token) is not None
        if not is_token or type(seconds) is not int or seconds <= 0:
            raise AnswerInvalid(self._holder)
        return token, min(seconds, LONGEST_SECONDS)
