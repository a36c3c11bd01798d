"""The catalogue of every manifest, served on its own, and a Chromium to open it in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.testclient import TestClient

from consent.pages.site import FILES, ICON, SHEET
from exchange.catalogue.description import describe_bundles
from exchange.catalogue.pages import routes as page_routes
from exchange.errors import ProblemWriter, install
from providers.bundle import bundles
from providers.manifest import manifests
from tests.chromium import chromium_path

BASE = "https://accord.example"


def catalogue(base: str = BASE) -> FastAPI:
    app = FastAPI()
    install(app, ProblemWriter(base))
    together = describe_bundles(bundles().values(), manifests(), base=base)
    app.include_router(
        page_routes.router(manifests(), together, base=base, sheet=FILES.url(SHEET), icon=FILES.url(ICON))
    )
    deployment = APIRouter()
    FILES.add_to(deployment)
    app.include_router(deployment)
    return app


@pytest.fixture(scope="module")
def reader() -> TestClient:
    """Somebody, from anywhere."""
    return TestClient(catalogue(), base_url=BASE)


@contextmanager
def _served() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(lambda *_: None, port=0, log_level="warning", ws="none"))
    socket = server.config.bind_socket()
    url = f"http://localhost:{socket.getsockname()[1]}"
    server.config.app = catalogue(url)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield url
    server.should_exit = True
    thread.join(10)
    socket.close()


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with _served() as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(place: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a path; at the end, no page may have complained of its own policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        path: str, *, width: int = 1280, scheme: str = "light", language: str = "fr", scripts: bool = True
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]  # "light" or "dark"
            locale=language,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(place + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
