"""In by ProConnect, out again, and never anywhere else."""

from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from audit.pages.agents import PAUSE
from audit.pages.login import own_path
from tests.audit.pages.scene import CITIZEN, ISSUER, PROVIDER, Scene

DEEP = f"/audit?kind=access&citizen={CITIZEN}&ground=complaint&case=2026-17"


def come_back(browser: TestClient, *, state: str = "the-state", code: str = "claire", **more: str):
    return browser.get("/audit/retour", params={"code": code, "state": state, **more})


@pytest.mark.parametrize("path", ["/audit", "/audit/entree/3", "/audit/chronologie?since=2026-11-01T00:00:00Z", DEEP])
def test_a_stranger_logs_in_and_arrives_where_she_was_going(scene: Scene, path: str) -> None:
    browser, size = scene.browser(), scene.size()
    away = browser.get(path)
    assert (away.status_code, away.headers["location"]) == (303, f"{PROVIDER}/authorize?state=the-state")
    assert scene.size() == size
    back = come_back(browser)
    assert back.status_code == 303
    assert back.headers["location"] == path.replace("00:00:00Z", "00%3A00%3A00Z")
    assert "Claire Fontaine" in browser.get(path).text


def test_where_she_was_going_is_in_no_address_on_the_way(scene: Scene) -> None:
    away = scene.browser().get(DEEP)
    assert CITIZEN not in away.headers["location"]
    assert CITIZEN not in away.headers["set-cookie"]


@pytest.mark.parametrize(
    ("who", "scope"),
    [
        ("claire", "Audit de tous les organismes"),
        ("marc", "un seul organisme\N{NO-BREAK SPACE}: Commune de Valombre"),
        ("nadia", "Exploitation de tous les organismes, sans les détails scellés"),
    ],
)
def test_the_top_of_the_page_says_who_reads_and_how_much(scene: Scene, who: str, scope: str) -> None:
    browser = scene.browser()
    browser.get("/audit")
    come_back(browser, code=who)
    page = browser.get("/audit").text
    assert scope in page
    assert 'href="/log/checkpoint"' in page
    assert "accord audit verify" in page


def test_who_is_logged_in_is_not_sent_away_again(scene: Scene) -> None:
    reply = scene.browser("claire").get("/audit/connexion", params={"retour": "/audit/entree/3"})
    assert reply.headers["location"] == "/audit/entree/3"


@pytest.mark.parametrize("state", ["", "another-state", "é", "\ud800"])
def test_a_return_with_another_state_logs_nobody_in(scene: Scene, state: str) -> None:
    browser = scene.browser()
    browser.get("/audit")
    reply = browser.get(f"/audit/retour?code=claire&state={quote(state, errors='surrogatepass')}")
    assert reply.status_code == 400
    assert "Connexion expirée" in reply.text
    assert "session" not in reply.headers.get("set-cookie", "")


def test_a_return_that_this_browser_did_not_start_logs_nobody_in(scene: Scene) -> None:
    assert come_back(scene.browser()).status_code == 400


def test_a_login_serves_once(scene: Scene) -> None:
    browser = scene.browser()
    browser.get("/audit")
    assert come_back(browser).status_code == 303
    assert come_back(browser).status_code == 400


@pytest.mark.parametrize("answer", [{"error": "access_denied", "code": ""}, {"code": ""}, {"code": "stranger"}])
def test_a_login_given_up_is_a_page_that_offers_to_start_again(scene: Scene, answer: dict[str, str]) -> None:
    browser = scene.browser()
    browser.get("/audit?kind=refusal")
    reply = come_back(browser, **answer)
    assert reply.status_code == 403
    assert "Connexion abandonnée" in reply.text
    assert 'href="/audit?kind=refusal">Recommencer' in reply.text
    assert browser.get("/audit").status_code == 303


def test_an_expired_login_is_asked_for_again(scene: Scene) -> None:
    browser = scene.browser("claire")
    scene.at += 1800
    reply = browser.get("/audit?kind=refusal")
    scene.at -= 1800
    assert reply.headers["location"].startswith(PROVIDER)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/evil",
        "/auditor",
        "/audit/\\evil.example",
        "/audit/../mes-acces",
        "/audit?a=\nb",
        "/audit?kind=" + "a" * 3000,
        "javascript:alert(1)",
        "",
    ],
)
def test_no_redirect_leads_away_from_these_pages(scene: Scene, path: str) -> None:
    assert own_path(path) == "/audit"
    reply = scene.browser("claire").get("/audit/connexion", params={"retour": path})
    assert reply.headers["location"] == "/audit"


def arrived(scene: Scene) -> TestClient:
    """Who logged in herself, so that her browser can forget it too."""
    browser = scene.browser()
    browser.get("/audit")
    come_back(browser)
    return browser


def token_of(page: str) -> str:
    return page.partition('name="jeton" value="')[2].partition('"')[0]


def test_logging_out_ends_at_proconnect_with_our_page_to_come_back_to(scene: Scene) -> None:
    browser = arrived(scene)
    reply = browser.post("/audit/deconnexion", data={"jeton": token_of(browser.get("/audit").text)})
    assert reply.status_code == 303
    assert reply.headers["location"].startswith(f"{PROVIDER}/session/end?id_token_hint=the.id.token")
    assert reply.headers["location"].endswith(f"{ISSUER}/audit/deconnexion")
    assert browser.get("/audit").headers["location"].startswith(PROVIDER)
    assert "Vous avez quitté le journal" in browser.get("/audit/deconnexion").text


def test_logging_out_works_while_proconnect_is_down(scene: Scene) -> None:
    browser = arrived(scene)
    token = token_of(browser.get("/audit").text)
    scene.login.down = True
    reply = browser.post("/audit/deconnexion", data={"jeton": token})
    scene.login.down = False
    assert reply.headers["location"] == "/audit/deconnexion"
    assert browser.get("/audit").headers["location"].startswith(PROVIDER)


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 3000])
def test_a_logout_that_our_page_did_not_ask_for_is_refused(scene: Scene, token: str) -> None:
    browser = scene.browser("claire")
    assert browser.post("/audit/deconnexion", data={"jeton": token}).status_code in {400, 403}
    assert browser.get("/audit/deconnexion").status_code == 200
    assert "Claire Fontaine" in browser.get("/audit/deconnexion").text


def test_another_sessions_logout_is_refused(scene: Scene) -> None:
    token = token_of(scene.browser("claire").get("/audit").text)
    assert scene.browser("claire").post("/audit/deconnexion", data={"jeton": token}).status_code == 403


def test_a_stranger_who_logs_out_is_shown_that_she_left(scene: Scene) -> None:
    assert scene.browser().post("/audit/deconnexion", data={"jeton": "x"}).headers["location"] == "/audit/deconnexion"


def test_a_proconnect_that_is_down_is_said_to_be_down(scene: Scene) -> None:
    scene.login.down = True
    reply = scene.browser().get("/audit?kind=refusal")
    scene.login.down = False
    assert reply.status_code == 502
    assert "ProConnect ne répond pas" in reply.text
    assert 'href="/audit?kind=refusal">Recommencer' in reply.text


def test_pages_do_not_wait_for_a_proconnect_that_is_down_again_and_again(scene: Scene) -> None:
    asked: list[str] = []
    real = scene.login.logout_url
    scene.login.down = True
    scene.login.logout_url = lambda *given, **more: asked.append("asked") or real(*given, **more)  # type: ignore[method-assign]
    browser = scene.browser("claire")
    for _ in range(5):
        policy = browser.get("/audit/deconnexion").headers["content-security-policy"]
        assert "form-action 'self';" in policy
    assert len(asked) == 1
    scene.login.down = False
    scene.at += PAUSE
    assert PROVIDER in browser.get("/audit/deconnexion").headers["content-security-policy"]
    scene.at -= PAUSE
    assert len(asked) == 2
    del scene.login.logout_url


def test_neither_name_nor_reference_is_in_an_address(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit").text
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert not [link for link in links if "Claire" in link or "a_1111" in link]
