"""The scene behind a real server, and axe to look at its pages."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi.responses import Response
from playwright.sync_api import Page

from tests.audit.pages.scene import Scene

_AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
_SHARED = {"accord.css": "text/css", "accord.svg": "image/svg+xml"}
"""The deployment's stylesheet and icon, which the citizens' pages serve."""


@contextmanager
def served(scene: Scene) -> Iterator[str]:
    """The URL of the scene, over plain http on this machine."""
    server = uvicorn.Server(uvicorn.Config(lambda *_: None, port=0, log_level="warning", ws="none"))
    socket = server.config.bind_socket()
    url = f"http://localhost:{socket.getsockname()[1]}"
    app = scene.app(issuer=url)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        content = resources.files("consent.pages").joinpath("static", name).read_bytes()
        return Response(content, media_type=_SHARED[name])

    server.config.app = app
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield url
    server.should_exit = True
    thread.join(10)
    socket.close()


def axe_violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page, options=_AXE_OPTIONS).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
