"""A month of a log, read by everybody; an empty log on each engine; and the pages in a Chromium."""

from collections.abc import Callable, Iterator
from importlib import resources

import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from playwright.sync_api import Browser, Page

from audit.checkpoint import NoteSigner
from tests.audit.conftest import migrate
from tests.audit.pages.scene import Scene, month, running
from tests.browsing import opening, port, served

_SHARED = {"accord.css": "text/css", "accord.svg": "image/svg+xml"}
"""The deployment's stylesheet and icon, which the citizens' pages serve."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, key: NoteSigner) -> Iterator[Scene]:
    """On SQLite; its tests only read, and each reading is one more entry."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pages') / 'log.sqlite'}"
    migrate(url)
    with running(url, key) as made:
        made.append(month())
        yield made


@pytest.fixture
def own(database_url: str, key: NoteSigner) -> Iterator[Scene]:
    """A test's own, once on each engine."""
    with running(database_url, key) as made:
        yield made


@pytest.fixture(scope="module")
def place(scene: Scene) -> Iterator[str]:
    """Where the scene is served."""
    scene.secure = False
    with port() as (listening, url), served(_with_shared_files(scene.app(issuer=url)), listening):
        yield url


def _with_shared_files(app: FastAPI) -> FastAPI:
    @app.get("/static/{name}")
    def static(name: str) -> Response:
        content = resources.files("consent.pages").joinpath("static", name).read_bytes()
        return Response(content, media_type=_SHARED[name])

    return app


@pytest.fixture
def opened(scene: Scene, place: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a path as somebody."""
    with opening(chromium, place, who="claire", cookies=scene.cookies) as open_page:
        yield open_page
