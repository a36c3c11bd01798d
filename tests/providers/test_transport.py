"""The client to a holder, over real sockets: what is reused, what is retried, what is refused."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from providers.config import HolderConfig
from providers.connection import MAX_BODY_BYTES, MAX_HEAD_BYTES
from providers.errors import HolderCutOff, HolderTimeout, ProviderError
from providers.port import HolderReply, HolderRequest
from providers.transport import IDLE_SECONDS, Transport
from tests.certificates import certificate

pytestmark = pytest.mark.enable_socket

_ASKED = HolderRequest("/v3/family", (("recipient", "21990001600011"), ("prenoms[]", "Zoé & Léa"), ("nom", "D'ARC-Ÿ")))
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class _Holder:
    """Answers the n-th request of all with the n-th script: bytes to send, and whether to close then."""

    def __init__(self, *script: tuple[bytes, bool], delay: float = 0) -> None:
        self.script = list(script)
        self.delay = delay
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        close = False
        while not close and self.script:
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            answer, close = self.script.pop(0)
            await asyncio.sleep(self.delay)
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def _listening(holder: _Holder, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            await holder.serve(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    holder.port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"{'https' if tls else 'http'}://localhost:{holder.port}/base"
    # What still waits for a question ends with its connection.
    await asyncio.sleep(0.05)


@asynccontextmanager
async def _transport(url: str, **bounds: float) -> AsyncIterator[Transport]:
    transport = Transport("api_particulier", HolderConfig(url, "holder-token", **bounds))  # type: ignore[arg-type]
    await transport.start()
    try:
        yield transport
    finally:
        await transport.close()


async def _ask(url: str, times: int = 1) -> list[HolderReply | str]:
    outcomes: list[HolderReply | str] = []
    async with _transport(url, timeout=2) as transport:
        for _ in range(times):
            try:
                outcomes.append(await transport.send(_ASKED))
            except ProviderError as error:
                outcomes.append(error.slug)
            # A turn of the loop: what the holder did after its answer is seen.
            await asyncio.sleep(0.05)
    return outcomes


def _outcomes(*script: tuple[bytes, bool], times: int = 1) -> tuple[Sequence[HolderReply | str], _Holder]:
    holder = _Holder(*script)

    async def run() -> list[HolderReply | str]:
        async with _listening(holder) as url:
            return await _ask(url, times)

    return asyncio.run(run()), holder


def test_a_question_is_one_get_with_its_parameters_encoded_and_our_token() -> None:
    (reply,), holder = _outcomes((_OK, False))
    assert reply == HolderReply(200, {}, b"{}")
    line, *headers = holder.requests[0].decode("ascii").split("\r\n")
    assert line == (
        "GET /base/v3/family?recipient=21990001600011&prenoms%5B%5D=Zo%C3%A9+%26+L%C3%A9a&nom=D%27ARC-%C5%B8 HTTP/1.1"
    )
    assert f"host: localhost:{holder.port}" in headers
    assert "authorization: Bearer holder-token" in headers


def test_a_connection_is_kept_for_the_next_question() -> None:
    outcomes, holder = _outcomes((_OK, False), (_OK, False), (_OK, False), times=3)
    assert [one.status for one in outcomes if isinstance(one, HolderReply)] == [200, 200, 200]
    assert holder.connections == 1


def test_a_connection_that_the_holder_closed_meanwhile_is_replaced_and_nobody_notices() -> None:
    outcomes, holder = _outcomes((_OK, True), (_OK, True), times=2)
    assert [one.status for one in outcomes if isinstance(one, HolderReply)] == [200, 200]
    assert holder.connections == 2


def test_a_kept_connection_lost_before_a_byte_of_the_answer_is_asked_again_once_it_is_new() -> None:
    outcomes, holder = _outcomes((_OK, False), (b"", True), (_OK, False), times=2)
    assert [one.status for one in outcomes if isinstance(one, HolderReply)] == [200, 200]
    assert (holder.connections, len(holder.requests)) == (2, 3)


def test_a_new_connection_lost_before_the_answer_is_not_asked_again() -> None:
    outcomes, holder = _outcomes((b"", True), (_OK, False))
    assert outcomes == ["holder_unreachable"]
    assert len(holder.requests) == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + _OK, b"{}"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["chunked", "interim answer first", "ended by the connection", "HTTP/1.0", "empty"],
)
def test_every_framing_of_http_is_read(answer: bytes, body: bytes) -> None:
    (reply,), _ = _outcomes((answer, True))
    assert isinstance(reply, HolderReply)
    assert reply.body == body


@pytest.mark.parametrize(
    ("answer", "slug"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "holder_answer_invalid"),
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "holder_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * MAX_HEAD_BYTES, "holder_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", "holder_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}", "holder_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY_BYTES + 1), "holder_answer_invalid"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000, "holder_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}", "holder_unreachable"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}", "holder_unreachable"),
    ],
    ids=[
        "another protocol",
        "an upgrade",
        "endless head",
        "two lengths",
        "a length and chunks",
        "endless body",
        "endless interim answers",
        "cut body",
        "cut chunk",
    ],
)
def test_what_is_not_one_whole_bounded_answer_is_refused(answer: bytes, slug: str) -> None:
    outcomes, _ = _outcomes((answer, True))
    assert outcomes == [slug]


@pytest.mark.parametrize(
    "extra", [_OK.replace(b"{}", b"[]"), b"HTTP/1.1 200 OK\r\ncontent-le", b"\x00"], ids=["whole", "part", "noise"]
)
def test_what_follows_an_answer_never_becomes_the_next_one(extra: bytes) -> None:
    outcomes, holder = _outcomes((_OK + extra, False), (_OK, False), times=2)
    assert [one if isinstance(one, str) else one.body for one in outcomes] in (
        [b"{}", b"{}"],
        ["holder_answer_invalid", b"{}"],
    )
    assert holder.connections == 2


def test_an_answer_that_comes_after_its_deadline_never_becomes_the_next_one() -> None:
    holder = _Holder((b"", False), (_OK, False), delay=0.4)

    async def run() -> bytes:
        async with _listening(holder) as url, _transport(url, timeout=0.2) as transport:
            with pytest.raises(ProviderError) as caught:
                await transport.send(_ASKED)
            assert caught.value.slug == "holder_timeout"
            holder.delay = 0
            await asyncio.sleep(0.4)
            return (await transport.send(_ASKED)).body

    assert asyncio.run(run()) == b"{}"
    assert holder.connections == 2


def test_a_question_on_a_kept_connection_has_the_whole_of_its_own_time() -> None:
    async def run(holder: _Holder) -> None:
        async with _listening(holder) as url, _transport(url, timeout=1) as transport:
            # The second is under way when the time of the first ends.
            assert [(await transport.send(_ASKED)).status for _ in range(2)] == [200, 200]
            assert holder.connections == 1

    asyncio.run(run(_Holder((_OK, False), (_OK, False), delay=0.6)))


def test_a_question_on_a_kept_connection_has_no_more_than_its_own_time() -> None:
    async def run(holder: _Holder) -> None:
        async with _listening(holder) as url, _transport(url, timeout=0.5) as transport:
            await transport.send(_ASKED)
            await asyncio.sleep(0.3)
            began = asyncio.get_running_loop().time()
            with pytest.raises(HolderTimeout):
                await transport.send(_ASKED)
            assert 0.45 < asyncio.get_running_loop().time() - began < 2

    # To the second question it says nothing.
    asyncio.run(run(_Holder((_OK, False), (b"", False), (_OK, False))))


def test_a_caller_that_goes_away_takes_its_connection_along() -> None:
    holder = _Holder((b"", False), (_OK, False))

    async def run() -> bytes:
        async with _listening(holder) as url, _transport(url, timeout=2) as transport:
            first = asyncio.create_task(transport.send(_ASKED))
            await asyncio.sleep(0.1)
            first.cancel()
            return (await transport.send(_ASKED)).body

    assert asyncio.run(run()) == b"{}"
    assert holder.connections == 2


def test_more_calls_than_the_holder_is_allowed_are_told_to_come_back() -> None:
    holder = _Holder((b"", False), (_OK, False))

    async def run() -> str:
        async with _listening(holder) as url, _transport(url, timeout=2, max_in_flight=1) as transport:
            first = asyncio.create_task(transport.send(_ASKED))
            await asyncio.sleep(0.05)
            with pytest.raises(ProviderError) as caught:
                await transport.send(_ASKED)
            first.cancel()
            return caught.value.slug

    assert asyncio.run(run()) == "holder_busy"


def test_over_tls_the_holder_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificate(tmp_path, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)

    async def run() -> list[HolderReply | str]:
        async with _listening(_Holder((_OK, False)), tls) as url:
            return await _ask(url)

    assert asyncio.run(run()) == ["holder_unreachable"]
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    assert asyncio.run(run()) == [HolderReply(200, {}, b"{}")]


@pytest.mark.parametrize("token", ["", "two words", "line\r\nhost: evil", "é"])
def test_a_token_that_is_not_one_is_refused_at_the_start_without_being_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="api_particulier") as caught:
        Transport("api_particulier", HolderConfig("http://localhost", token))
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("silence", ["no TLS", "no connection taken"])
def test_a_holder_with_which_no_connection_comes_about_is_cut_off_after_the_deadline(silence: str) -> None:
    """A port that accepts and never speaks TLS; one whose queue of connections is full."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as held:
            port = listening.getsockname()[1]
            for _ in range(4 if silence == "no connection taken" else 0):
                one = held.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            scheme = "https" if silence == "no TLS" else "http"
            async with _transport(f"{scheme}://127.0.0.1:{port}", timeout=0.3) as transport:
                with pytest.raises(HolderCutOff):
                    await transport.send(_ASKED)

    asyncio.run(run())


def test_a_connection_idle_for_too_long_is_closed_though_nobody_asks() -> None:
    holder = _Holder((_OK, False))

    async def run() -> None:
        async with _listening(holder) as url, _transport(url, timeout=2) as transport:
            await transport.send(_ASKED)
            (connection,) = transport._idle
            transport._sweep(asyncio.get_running_loop())
            assert connection.is_usable
            connection.idle_since -= IDLE_SECONDS
            transport._sweep(asyncio.get_running_loop())
            assert (connection.is_usable, transport._idle, transport._sweeping) == (False, [], None)

    asyncio.run(run())
