"""What every page is shown in: its headers, its two languages, and the way between pages."""

import re

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.testclient import TestClient

from exchange.catalogue.pages.texts import TEXTS
from openapi.pages.files import Files
from openapi.pages.frame import Frame, policy
from openapi.pages.routing import page_route, path_of, redirect

BASE = "https://accord.example"


class Refused(Exception):
    pass


@pytest.fixture(scope="module")
def visitor() -> TestClient:
    frame = Frame(
        "exchange.catalogue.pages",
        TEXTS,
        language_cookie="lang",
        secure=True,
        common={"icon": "/icon", "sheets": ("/one.css", "/two.css"), "script": None},
        nowhere=("/nowhere",),
    )

    def show(request: Request, status: int = 200) -> Response:
        content = {"title": "Title", "detail": "<b>&"}
        return frame.show(request, "problem.html", status=status, policy=policy(), content=content)

    routes = APIRouter(route_class=page_route((Refused,), lambda request, _refusal: show(request, 409)))

    @routes.get("/refused")
    def refuse() -> Response:
        raise Refused

    @routes.get("/elsewhere")
    def elsewhere() -> Response:
        return redirect("/page")

    @routes.get("/path")
    def path(request: Request) -> str:
        return path_of(request, lang="fr")

    @routes.api_route("/{name}", methods=["GET", "POST"])
    def page(request: Request, name: str) -> Response:
        return show(request)

    Files("exchange.catalogue.pages", "/own/static", {"catalogue.css": "text/css"}).add_to(routes)
    app = FastAPI()
    app.include_router(routes)
    return TestClient(app, base_url=BASE, follow_redirects=False)


def test_a_page_may_be_kept_by_nobody_and_fetches_nothing_from_anybody(visitor):
    headers = visitor.get("/page").headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")


def test_what_a_page_is_told_is_text_and_never_markup(visitor):
    assert "&lt;b&gt;&amp;" in visitor.get("/page").text


def test_the_sheets_stand_in_their_order(visitor):
    assert re.findall(r'rel="stylesheet" href="([^"]+)"', visitor.get("/page").text) == ["/one.css", "/two.css"]


def test_a_language_chosen_is_kept_where_no_script_reads_it(visitor):
    visitor.cookies.clear()
    cookie = visitor.get("/page?lang=en").headers["set-cookie"]
    assert cookie.startswith("lang=en;")
    assert {"HttpOnly", "Secure"} <= set(cookie.split("; "))
    assert visitor.get("/page").headers["content-language"] == "en"
    visitor.cookies.clear()
    assert "set-cookie" not in visitor.get("/page?lang=de").headers


def test_the_other_language_is_the_same_address(visitor):
    text = visitor.get("/page?q=a+b&empty=").text
    assert 'href="/page?q=a+b&amp;lang=en" lang="en"' in text


@pytest.mark.parametrize(("method", "path"), [("POST", "/page"), ("GET", "/nowhere")])
def test_an_answer_without_an_address_of_its_own_offers_no_other_language(visitor, method, path):
    assert "hreflang" not in visitor.request(method, path).text


def test_a_refusal_is_a_page_with_its_status(visitor):
    reply = visitor.get("/refused")
    assert reply.status_code == 409
    assert "<h1>Title</h1>" in reply.text


def test_from_one_page_to_the_next_it_is_a_get(visitor):
    reply = visitor.get("/elsewhere")
    assert (reply.status_code, reply.headers["location"]) == (303, "/page")


def test_a_path_is_written_again_with_its_parameters_changed_and_without_empty_ones(visitor):
    assert visitor.get("/path?a=1&b=&lang=en&c=%20").json() == "/path?a=1&lang=fr"


def test_a_files_address_leads_to_it_and_may_be_kept(visitor):
    files = Files("exchange.catalogue.pages", "/own/static", {"catalogue.css": "text/css"})
    reply = visitor.get(files.url("catalogue.css"))
    assert reply.headers["content-type"].startswith("text/css")
    assert reply.headers["cache-control"] == "public, max-age=86400"
    assert re.fullmatch(r"/own/static/catalogue\.css\?v=[0-9a-f]{12}", files.url("catalogue.css"))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (policy(), "form-action 'self';"),
        (policy(["https://a.example", "https://a.example"]), "form-action 'self' https://a.example;"),
        (policy(scripted=True), "default-src 'none'; script-src 'self'; style-src 'self'"),
    ],
)
def test_a_policy_opens_what_was_said_and_nothing_else(made, said):
    assert said in made
    assert made.endswith("frame-ancestors 'none'; base-uri 'none'")
    assert "unsafe" not in made
