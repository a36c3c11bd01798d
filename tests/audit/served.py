"""A web server with a log's files, as a stranger runs one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "auditor's-token"


class Public(SimpleHTTPRequestHandler):
    """Serves a folder; entries and details to whoever has the token, when there is one."""

    def __init__(self, *given: Any, token: str | None = None, hidden: tuple[str, ...] = (), **named: Any) -> None:
        self.token = token
        self.hidden = hidden
        super().__init__(*given, **named)

    def do_GET(self) -> None:  # as the standard library calls it
        secret = self.path.startswith(("/tile/entries", "/details"))
        if self.path.lstrip("/") in self.hidden:
            self.send_error(404)
        elif secret and self.token is not None and self.headers["Authorization"] != f"Bearer {self.token}":
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Says nothing of clients that went away."""

    def handle_error(self, *_: object) -> None:
        """They were right to go."""


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(5)
