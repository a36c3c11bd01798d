"""The catalogue of every manifest, served on its own."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from playwright.sync_api import Browser, Page
from starlette.testclient import TestClient

from consent.pages.site import FILES, ICON, SHEET
from exchange.catalogue.description import describe_bundles
from exchange.catalogue.pages import routes as page_routes
from exchange.errors import ProblemWriter, install
from providers.bundle import bundles
from providers.manifest import manifests
from tests.browsing import opening, port, served

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


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with port() as (listening, url), served(catalogue(url), listening):
        yield url


@pytest.fixture
def opened(place: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    with opening(chromium, place) as open_page:
        yield open_page
