"""Keys made once, a deployment with fakes, and a browser of sorts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, Page
from starlette.testclient import TestClient

from tests.browsing import opening
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


@pytest.fixture
def opened(served: Served, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a path as Camille, with an authorisation of each kind and an access of each."""
    scene = served.scene
    scene.desk.grants = [GRANT, replace(GRANT, grant_id="g2", status="withdrawn", ended_at=NOW - DAY)]
    scene.accesses.views = [ACCESS, replace(ACCESS, index=3, outcome="holder_timeout")]
    scene.desk.agreed.clear()
    with opening(
        chromium, served.url, who="Camille Martin", cookies=lambda who: scene.session_cookie(name=who)
    ) as open_page:
        yield open_page
