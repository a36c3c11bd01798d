"""The browser without a screen sends what a real one would."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.browser import Browser, PageMissing
from sandbox.forms import read_form
from sandbox.servers import sandbox_running
from tests.sandbox.conftest import free_port

pytestmark = pytest.mark.enable_socket

PAGE = """<!doctype html><html><head><title>T</title></head><body>
<h1>Un <em>titre</em></h1><a href="/more">plus</a>
<p id="figure"><strong>1 250</strong> euros<br>par mois</p>
<form method="post" action="/answer">
  <input type="hidden" name="csrf" value="c&amp;1"><input name="free" value="text">
  <input type="checkbox" name="field" value="a" checked><input type="checkbox" name="field" value="b">
  <input type="radio" name="until" value="1"><input type="radio" name="until" value="2" checked>
  <button hidden disabled>Rien</button>
  <button name="decision" value="agree">J'<span>accepte</span></button>
  <button type="submit" name="decision" value="refuse">Je refuse</button>
</form></body></html>"""


def site() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    def home() -> HTMLResponse:
        response = HTMLResponse(PAGE)
        response.set_cookie("__Host-session", "s", secure=True, httponly=True, path="/")
        return response

    @app.post("/answer")
    async def answer(request: Request) -> Response:
        sent = "&".join(f"{name}={value}" for name, value in await read_form(request))
        return RedirectResponse(f"/echo?cookie={request.cookies.get('__Host-session')}&n={len(sent)}&{sent}", 303)

    @app.get("/echo")
    def echo(request: Request) -> HTMLResponse:
        return HTMLResponse(f"<p id=got>{request.url.query}</p>")

    @app.get("/endless")
    def endless() -> Response:
        return Response(b"x" * 3_000_000)

    return app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    with sandbox_running(site(), port=port):
        yield f"http://localhost:{port}"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def test_a_form_sends_its_hidden_fields_checked_boxes_and_the_button_pressed(browser: Browser, url: str) -> None:
    page = browser.open(url)
    got = browser.press(page.button(action="/answer", value="agree")).url
    assert got.endswith("csrf=c&1&free=text&field=a&until=2&decision=agree")


def test_a_secure_host_cookie_comes_back_to_localhost_over_http(browser: Browser, url: str) -> None:
    page = browser.open(url)
    assert "cookie=s" in browser.press(page.button(text="je refuse")).url


def test_what_is_shown_is_found_by_its_id_and_links_are_absolute(browser: Browser, url: str) -> None:
    page = browser.open(url)
    assert page.shown("figure") == "1 250 eurospar mois"
    assert page.link("more") == f"{url}/more"
    assert "Un titre" in page.text


def test_what_is_not_on_the_page_is_said_with_the_pages_address(browser: Browser, url: str) -> None:
    page = browser.open(url)
    with pytest.raises(PageMissing, match=url):
        page.button(text="nothing of the kind")
    with pytest.raises(PageMissing, match="nowhere"):
        page.link("nowhere")
    with pytest.raises(PageMissing, match="absent"):
        page.shown("absent")


def test_a_page_beyond_the_bound_is_not_read_to_its_end(browser: Browser, url: str) -> None:
    with pytest.raises(PageMissing, match="more than"):
        browser.open(f"{url}/endless")


def test_a_disabled_button_is_not_pressed(browser: Browser, url: str) -> None:
    page = browser.open(url)
    with pytest.raises(PageMissing):
        page.button(text="Rien")
