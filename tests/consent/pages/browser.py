"""A deployment that a real Chromium opens, and axe to look at it. Its fixtures are in ``conftest.py``."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.consent.pages.scene import Scene, make_config

_AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


@dataclass
class Served:
    """A deployment that a browser can open."""

    scene: Scene
    url: str


@contextmanager
def served_scene(signing_key) -> Iterator[Served]:
    server = uvicorn.Server(uvicorn.Config(lambda *_: None, port=0, log_level="warning", ws="none"))
    socket = server.config.bind_socket()
    url = f"http://localhost:{socket.getsockname()[1]}"
    scene = Scene(make_config(signing_key, issuer=url, franceconnect="http://localhost:9/api/v2"))
    server.config.app = scene.app()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield Served(scene, url)
    server.should_exit = True
    thread.join(10)
    socket.close()


def axe_violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page, options=_AXE_OPTIONS).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
