"""A deployment that a real Chromium opens. Its fixtures are in ``conftest.py``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tests.browsing import port, served
from tests.consent.pages.scene import Scene, make_config


@dataclass
class Served:
    """A deployment that a browser can open."""

    scene: Scene
    url: str


@contextmanager
def served_scene(signing_key: EllipticCurvePrivateKey) -> Iterator[Served]:
    with port() as (listening, url):
        scene = Scene(make_config(signing_key, issuer=url, franceconnect="http://localhost:9/api/v2"))
        with served(scene.app(), listening):
            yield Served(scene, url)
