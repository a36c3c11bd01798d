"""The pages in a real Chromium: accessible, inside the window, and obeying their own policy."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import chromium_path
from tests.consent.pages.scene import ACCESS, AUTHORIZE, CALLBACK, DAY, GRANT, NOW, Scene, make_config

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.xdist_group("browser")]

LOOKS = [(320, "light", "en"), (320, "dark", "fr"), (1280, "light", "fr"), (1280, "dark", "en")]
PAGES = {
    "home": "/",
    "consent": AUTHORIZE,
    "authorisations": "/mes-autorisations?retrait=fait",
    "withdrawal": "/mes-autorisations/grant-1/retrait",
    "accesses": "/mes-acces",
    "logged out": "/deconnexion",
    "problem": "/mes-acces/99/preuve",
}
AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


@dataclass
class Served:
    """A deployment that a browser can open."""

    scene: Scene
    url: str


@pytest.fixture(scope="module")
def served(signing_key) -> Iterator[Served]:
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


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme", "language"), LOOKS)
def test_axe_finds_nothing(opened, name, width, scheme, language):
    page = opened(PAGES[name], width=width, scheme=scheme, language=language)
    found = Axe().run(page, options=AXE_OPTIONS).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_sticks_out_of_the_window(opened, name, width):
    page = opened(PAGES[name], width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
def test_agreeing_and_refusing_stand_side_by_side_and_weigh_the_same(opened, width):
    page = opened(AUTHORIZE, width=width)
    agree, refuse = (page.locator(f"button[value={value}]").bounding_box() for value in ("agree", "refuse"))
    assert agree["y"] == refuse["y"]
    assert (agree["width"], agree["height"]) == pytest.approx((refuse["width"], refuse["height"]), abs=1)
    assert agree["height"] >= 44


def test_every_control_is_reached_by_keyboard_and_shows_where_it_is(opened):
    page = opened(AUTHORIZE)
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name + '=' + document.activeElement.value"))
    assert {"decision=agree", "decision=refuse", "champ=0:quotient_familial.valeur"} <= reached
    page.locator("button[value=agree]").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_enter_key_on_a_box_decides_nothing_and_forgets_no_choice(opened, served):
    page = opened(AUTHORIZE)
    box = page.locator("input[name=champ]").first
    box.uncheck()
    box.press("Enter")
    page.wait_for_url("**/oauth/authorize/decision")
    assert [each.is_checked() for each in page.locator("input[name=champ]").all()] == [False, True, True]
    assert (served.scene.desk.agreed, served.scene.desk.refused) == ([], 0)


def test_the_answer_reaches_the_application_under_the_policy(opened, served):
    page = opened(AUTHORIZE)
    page.context.route(f"{CALLBACK}**", lambda route: route.fulfill(body="back at the portal"))
    page.locator("input[name=champ]").nth(2).uncheck()
    page.locator("button[value=agree]").click()
    page.wait_for_url(f"{CALLBACK}**")
    assert served.scene.desk.agreed[0][0] == (("quotient_familial.valeur", "quotient_familial.fournisseur"),)


def test_withdrawing_takes_two_presses_of_a_button(opened, served):
    page = opened("/mes-autorisations")
    page.get_by_role("link", name="Retirer cette autorisation").click()
    page.get_by_role("main").get_by_role("button").click()
    assert "est retirée" in page.get_by_role("status").inner_text()
    assert served.scene.desk.grants[0].status == "withdrawn"
