"""Keys made once, a deployment with fakes, and a browser of sorts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.testclient import TestClient

from tests.chromium import chromium_path
from tests.consent.pages.browser import Served, served_scene
from tests.consent.pages.loopback_franceconnect import LoopbackFranceConnect
from tests.consent.pages.scene import ACCESS, DAY, GRANT, ISSUER, NOW, Scene, make_config


@pytest.fixture(scope="session")
def signing_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def scene(signing_key: ec.EllipticCurvePrivateKey) -> Scene:
    """A deployment whose FranceConnect is never called."""
    return Scene(make_config(signing_key, franceconnect="https://fc.example/api/v2"))


@pytest.fixture
def stranger(scene: Scene) -> TestClient:
    return TestClient(scene.app(), base_url=ISSUER, follow_redirects=False)


@pytest.fixture
def camille(scene: Scene) -> TestClient:
    """Someone who is logged in."""
    return TestClient(scene.app(), base_url=ISSUER, follow_redirects=False, cookies=dict(scene.session_cookie()))


@pytest.fixture(scope="session")
def loopback() -> Iterator[LoopbackFranceConnect]:
    with LoopbackFranceConnect() as server:
        yield server


@pytest.fixture(scope="module")
def served(signing_key) -> Iterator[Served]:
    with served_scene(signing_key) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(served: Served, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a path as Camille; at the end, no page may have complained."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    served.scene.desk.grants = [GRANT, replace(GRANT, grant_id="g2", status="withdrawn", ended_at=NOW - DAY)]
    served.scene.accesses.views = [ACCESS, replace(ACCESS, index=3, outcome="holder_timeout")]
    served.scene.desk.agreed.clear()

    def open_page(path: str, *, width: int = 1280, scheme: str = "light", language: str = "fr") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language)
        contexts.append(context)
        cookies = served.scene.session_cookie().items()
        context.add_cookies([{"name": name, "value": value, "url": served.url} for name, value in cookies])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
