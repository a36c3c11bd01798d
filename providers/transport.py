"""The one HTTP client to a holder: pooled, bounded in time, in size and in number.

pyreqwest because it is on the data path: it costs a thirtieth of httpx a call. No redirect is followed, no proxy of the
environment used, no compressed body accepted: what is read is what was bounded.
"""

from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.response import Response

from providers.config import HolderConfig
from providers.errors import AnswerInvalid, HolderBusy, HolderTimeout, HolderUnreachable
from providers.port import HolderReply, HolderRequest

MAX_BODY_BYTES = 1_000_000
RETRY_SECONDS = 30

_READ_AHEAD = 65_536
_KEPT_HEADERS = ("retry-after", "ratelimit-reset")


class Transport:
    """Calls one holder. Raises only :class:`providers.errors.ProviderError`."""

    def __init__(self, holder: str, config: HolderConfig) -> None:
        self._holder = holder
        self._config = config
        self._client: Client | None = None
        self._in_flight = 0

    async def start(self) -> None:
        """Make the client; it connects when it is first used."""
        deadline = timedelta(seconds=self._config.timeout)
        self._client = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .http1_only()
            .tcp_nodelay(enabled=True)
            .timeout(deadline)
            .connect_timeout(deadline)
            .pool_max_idle_per_host(self._config.max_in_flight)
            .default_headers(
                {"authorization": f"Bearer {self._config.token}", "accept": "application/json", "user-agent": "accord"}
            )
            .build()
        )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def send(self, request: HolderRequest) -> HolderReply:
        """One GET, whole within the deadline."""
        if self._client is None:
            raise HolderUnreachable(self._holder, retry_in=RETRY_SECONDS)
        if self._in_flight >= self._config.max_in_flight:
            raise HolderBusy(self._holder, retry_in=1)
        self._in_flight += 1
        try:
            return await self._get(self._client, request)
        except RequestTimeoutError:
            raise HolderTimeout(self._holder, retry_in=RETRY_SECONDS) from None
        except PyreqwestError:
            # The message quotes the URL, which carries an identity: neither it nor its cause goes on.
            raise HolderUnreachable(self._holder, retry_in=RETRY_SECONDS) from None
        finally:
            self._in_flight -= 1

    async def _get(self, client: Client, request: HolderRequest) -> HolderReply:
        asked = client.get(self._config.base_url + request.path).query(list(request.query))
        streamed = asked.streamed_read_buffer_limit(_READ_AHEAD).build_streamed()
        async with streamed as response:
            body = await self._body(response)
            headers = {name: value for name in _KEPT_HEADERS if (value := response.get_header(name)) is not None}
            return HolderReply(response.status, headers, body)

    async def _body(self, response: Response) -> bytes:
        announced = response.get_header("content-length") or ""
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > MAX_BODY_BYTES:
            raise AnswerInvalid(self._holder)
        chunks, size = [], 0
        while (chunk := await response.body_reader.read_chunk()) is not None:
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise AnswerInvalid(self._holder)
            chunks.append(bytes(chunk))
        return b"".join(chunks)
