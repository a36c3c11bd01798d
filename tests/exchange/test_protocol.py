"""The server's protocol over real sockets: whole answers, whatever the connection, and heads within bounds."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from exchange.asgi import Receive, Reply, Scope, Send
from exchange.protocol import MAX_HEAD_BYTES, BoundedProtocol

pytestmark = pytest.mark.enable_socket


async def _app(scope: Scope, _receive: Receive, send: Send) -> None:
    reply = Reply(200, ((b"content-type", b"text/plain"),), scope["path"].encode())
    if not reply.send_whole(scope):
        await reply.send(send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(_app, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def _exchange(port: int, sent: bytes, *, answers: int) -> list[bytes]:
    """Send bytes, read so many answers or to the end of the connection: head and body of each."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        received = b""
        while received.count(b"HTTP/1.1 ") < answers or not received.endswith((b"/one", b"/two", b"bytes\n")):
            chunk = connection.recv(65536)
            if not chunk:
                break
            received += chunk
    return [b"HTTP/1.1 " + one for one in received.split(b"HTTP/1.1 ")[1:]]


def _get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "host: x", *headers, "", ""]).encode()


def test_an_answer_has_its_length_date_and_headers(port: int) -> None:
    (answer,) = _exchange(port, _get("/one"), answers=1)
    head, _, body = answer.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in head.split(b"\r\n")[1:]]
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sorted(names) == [b"content-length", b"content-type", b"date", b"server"]
    assert b"content-length: 4\r\n" in head + b"\r\n"
    assert body == b"/one"


def test_requests_sent_at_once_are_answered_in_their_order(port: int) -> None:
    first, second = _exchange(port, _get("/one") + _get("/two"), answers=2)
    assert first.endswith(b"/one")
    assert second.endswith(b"/two")


@pytest.mark.parametrize("request_", [_get("/one", "connection: close"), _get("/one", version="1.0")])
def test_a_connection_that_is_to_end_ends_after_its_answer(port: int, request_: bytes) -> None:
    (answer,) = _exchange(port, request_, answers=2)
    assert b"connection: close" in answer
    assert answer.endswith(b"/one")


def test_a_head_beyond_the_bound_is_refused(port: int) -> None:
    (answer,) = _exchange(port, _get("/one", "x: " + "a" * MAX_HEAD_BYTES), answers=1)
    assert answer.startswith(b"HTTP/1.1 431 ")
