"""A holder that misbehaves on real sockets, in the way it is told."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class HostileHolder:
    """Listens on a port of its own; each connection gets the behaviour set last."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._behaviour = self._garbage
        self._refusing = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._listening.close()

    def behave(self, name: str) -> None:
        """One of the methods below, or ``refused``: the connection is closed before a byte is read."""
        self._behaviour = getattr(self, f"_{name}")

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection, self._behaviour), daemon=True).start()

    def _handle(self, connection: socket.socket, behaviour: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            behaviour(connection)

    def _refused(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    def _reset(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_OK + b"content-length: 1000\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    def _silent(self, connection: socket.socket) -> None:
        connection.recv(65536)
        self._closed.wait(15)

    def _drip(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_OK + b"content-length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)

    def _garbage(self, connection: socket.socket) -> None:
        self._answer(connection, b"<html>not json")

    def _wrong_schema(self, connection: socket.socket) -> None:
        self._answer(connection, b'{"data": {"quotient_familial": {"valeur": "douze"}}, "links": {}, "meta": {}}')

    def _huge(self, connection: socket.socket) -> None:
        self._answer(connection, b'{"data": "' + b"x" * 10_000_000 + b'"}')

    def _busy(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}")

    def _unauthorized(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}")

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        connection.recv(65536)
        connection.sendall(_OK + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
