"""A holder that misbehaves on real sockets, in the way it is told."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER of no time: closing resets the connection."""

FAMILY = b'{"data": {"quotient_familial": {"valeur": 1234}}, "links": {}, "meta": {}}'
"""What it answers when it behaves."""


class HostileHolder:
    """Listens on a port of its own; each connection gets the behaviour set last, for one question."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self._behaviour = self._garbage
        self._closed = threading.Event()
        self.port: int = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self.retry_after = 7
        self.connections = 0
        """Those there ever were: questions, but for those refused."""
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._stop()
        for thread in self._threads:
            thread.join(10)

    def behave(self, name: str) -> None:
        """One of the methods below, or ``refused``: the connection is closed before a byte is read."""
        self._behaviour = getattr(self, f"_{name}")

    @contextmanager
    def absent(self) -> Iterator[None]:
        """Nobody listens on its port, which nobody else can take meanwhile."""
        self._stop()
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", self.port))
            yield
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._start()

    def _start(self) -> None:
        self._run(self._serve, self._listening)

    def _stop(self) -> None:
        # A thread that waits in accept() is not woken by a mere close.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _run(self, what: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _serve(self, listening: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            self._run(self._handle, connection, self._behaviour)

    def _handle(self, connection: socket.socket, behaviour: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            if self._tls is None:
                behaviour(connection)
                return
            with self._tls.wrap_socket(connection, server_side=True) as secured:
                behaviour(secured)

    def _serves(self, connection: socket.socket) -> None:
        self._answer(connection, FAMILY)

    def _slow(self, connection: socket.socket) -> None:
        connection.recv(65536)
        self._closed.wait(0.3)
        connection.sendall(_OK + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(FAMILY) + FAMILY)

    def _refused(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _reset(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_OK + b"content-length: 1000\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

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
        wait = b"retry-after: %d\r\n" % self.retry_after
        self._refuse(connection, b"429 Too Many Requests\r\n" + wait)

    def _unauthorized(self, connection: socket.socket) -> None:
        self._refuse(connection, b"401 Unauthorized\r\n")

    def _unknown(self, connection: socket.socket) -> None:
        self._refuse(connection, b"404 Not Found\r\n")

    def _failing(self, connection: socket.socket) -> None:
        self._refuse(connection, b"500 Internal Server Error\r\n")

    def _refuse(self, connection: socket.socket, head: bytes) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + head + b"connection: close\r\ncontent-length: 2\r\n\r\n{}")

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        connection.recv(65536)
        connection.sendall(_OK + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
