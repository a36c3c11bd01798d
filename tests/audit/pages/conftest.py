"""A month of a log, read by everybody; an empty log on each engine; and a Chromium to open the pages in."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from audit.checkpoint import NoteSigner
from tests.audit.conftest import migrate
from tests.audit.pages.browser import served
from tests.audit.pages.scene import Scene, month, running
from tests.chromium import chromium_path


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
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(scene: Scene) -> Iterator[str]:
    """Where the scene is served."""
    scene.secure = False
    with served(scene) as url:
        yield url


@pytest.fixture
def opened(scene: Scene, place: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a path as somebody; at the end, no page may have complained of its own policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        path: str, *, who: str | None = "claire", width: int = 1280, scheme: str = "light", language: str = "fr"
    ) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language)  # type: ignore[arg-type]  # "light" or "dark"
        contexts.append(context)
        cookies = scene.cookies(who).items() if who else ()
        context.add_cookies([{"name": name, "value": value, "url": place} for name, value in cookies])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(place + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
