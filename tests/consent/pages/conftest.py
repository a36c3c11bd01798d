"""Keys made once, a deployment with fakes, and a browser of sorts."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.testclient import TestClient

from tests.consent.pages.loopback_franceconnect import LoopbackFranceConnect
from tests.consent.pages.scene import ISSUER, Scene, make_config


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
