"""In by FranceConnect, out again, and never anywhere else."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from consent.pages.login import own_path
from tests.consent.pages.loopback_franceconnect import LoopbackFranceConnect
from tests.consent.pages.scene import AUTHORIZE, ISSUER, Scene, make_config

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server(loopback: LoopbackFranceConnect) -> Iterator[LoopbackFranceConnect]:
    loopback.reset()
    yield loopback
    loopback.reset()


@pytest.fixture
def browser(server: LoopbackFranceConnect, signing_key) -> TestClient:
    scene = Scene(make_config(signing_key, franceconnect=server.issuer))
    return TestClient(scene.app(), base_url=ISSUER, follow_redirects=False)


def departed(browser: TestClient, server: LoopbackFranceConnect, path: str) -> str:
    """Follow ``path`` to FranceConnect; return the state it was given."""
    reply = browser.get(path)
    assert reply.status_code == 303
    assert reply.headers["location"].startswith(f"{server.issuer}/authorize?")
    sent = parse_qs(urlsplit(reply.headers["location"]).query)
    server.nonce = sent["nonce"][0]
    return sent["state"][0]


def come_back(browser: TestClient, state: str, **query: str):
    return browser.get("/franceconnect/retour", params={"code": "the-code", "state": state, **query})


@pytest.mark.parametrize("path", [AUTHORIZE, "/mes-acces?avant=36", "/mes-autorisations"])
def test_a_stranger_logs_in_and_arrives_where_she_was_going(browser, server, path):
    reply = come_back(browser, departed(browser, server, path))
    assert reply.status_code == 303
    assert reply.headers["location"] == path
    assert "Camille MARTIN" in browser.get(path).text


def test_the_same_person_is_the_same_citizen_at_every_login(server, signing_key):
    found = set()
    for _ in range(2):
        scene = Scene(make_config(signing_key, franceconnect=server.issuer))
        browser = TestClient(scene.app(), base_url=ISSUER, follow_redirects=False)
        come_back(browser, departed(browser, server, "/connexion"))
        scene.desk.grants_of = lambda citizen: found.add(citizen) or []
        browser.get("/mes-autorisations")
    assert len(found) == 1


@pytest.mark.parametrize("state", ["", "another-state", "é"])
def test_a_return_with_another_state_logs_nobody_in(browser, server, state):
    departed(browser, server, "/connexion")
    reply = come_back(browser, state)
    assert reply.status_code == 400
    assert "Connexion expirée" in reply.text
    assert "session" not in reply.headers.get("set-cookie", "")


def test_a_return_that_this_browser_did_not_start_logs_nobody_in(browser, server):
    state = departed(browser, server, "/connexion")
    browser.cookies.clear()
    assert come_back(browser, state).status_code == 400


def test_a_return_serves_once(browser, server):
    state = departed(browser, server, "/connexion")
    assert come_back(browser, state).status_code == 303
    assert come_back(browser, state).status_code == 400


def test_giving_up_at_franceconnect_is_a_page_that_offers_to_start_again(browser, server):
    state = departed(browser, server, AUTHORIZE)
    reply = browser.get("/franceconnect/retour", params={"error": "access_denied", "state": state})
    assert reply.status_code == 403
    assert f'href="{AUTHORIZE.replace("&", "&amp;")}"' in reply.text


def test_an_identity_that_does_not_hold_is_a_page(browser, server):
    server.changes["userinfo"] = {"sub": "e" * 66}
    reply = come_back(browser, departed(browser, server, "/connexion"))
    assert reply.status_code == 502
    assert "n&#39;a pas pu être vérifiée" in reply.text


def test_a_franceconnect_that_is_down_is_a_page(browser, server):
    server.answers["/.well-known/openid-configuration"] = lambda: (503, "text/plain", b"")
    reply = browser.get("/connexion")
    assert reply.status_code == 502
    assert "FranceConnect ne répond pas" in reply.text


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb", "/%2F/evil", "mes-acces"],
)
def test_no_login_ends_at_another_site(path):
    assert own_path(path) == "/"


def test_logging_out_ends_the_session_here_and_at_franceconnect(browser, server):
    come_back(browser, departed(browser, server, "/connexion"))
    token = browser.get("/").text.partition('name="jeton" value="')[2].partition('"')[0]
    reply = browser.post("/deconnexion", data={"jeton": token})
    sent = parse_qs(urlsplit(reply.headers["location"]).query)
    assert reply.headers["location"].startswith(f"{server.issuer}/session/end?")
    assert sent["post_logout_redirect_uri"] == [f"{ISSUER}/deconnexion"]
    assert browser.get("/mes-acces").headers["location"].startswith(f"{server.issuer}/authorize?")


def test_nobody_is_logged_out_by_a_form_from_elsewhere(browser, server):
    come_back(browser, departed(browser, server, "/connexion"))
    assert browser.post("/deconnexion", data={"jeton": "0" * 64}).status_code == 403
    assert browser.get("/mes-acces").status_code == 200


def test_someone_logged_in_does_not_log_in_again(browser, server):
    come_back(browser, departed(browser, server, "/connexion"))
    assert browser.get("/connexion?retour=/mes-acces").headers["location"] == "/mes-acces"


def test_an_issuer_on_plain_http_elsewhere_is_refused_at_start(signing_key):
    config = make_config(signing_key, issuer="http://accord.example", franceconnect="https://fc.example/api/v2")
    with pytest.raises(ValueError, match="https is required"):
        Scene(config).app()
