"""The town's portal: it trusts only the answer to its own request, and shows the quotient familial alone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from joserfc.jwk import ECKey

from sandbox.portail_famille import PortalConfig, router
from sandbox.servers import sandbox_running
from tests.sandbox.conftest import free_port
from tests.sandbox.fake_accord import FakeAccord

pytestmark = pytest.mark.enable_socket

RECIPIENT = "21990001600011"
ANSWER = {
    "data": {"quotient_familial": {"valeur": 1250, "mois": 8, "annee": 2026, "fournisseur": "CNAF"}},
    "meta": {"index": 41, "access_id": "x"},
}
REFUSAL = {
    "type": "http://localhost:8000/problems/grant_withdrawn",
    "title": "Autorisation retirée",
    "detail": "Le citoyen l'a <retirée>.",
}


@pytest.fixture(scope="session")
def key() -> ECKey:
    key = ECKey.generate_key("P-256", parameters={"alg": "ES256"})
    key.ensure_kid()
    return key


@pytest.fixture(scope="module")
def running(key: ECKey) -> Iterator[FakeAccord]:
    port = free_port()
    fake = FakeAccord(f"http://localhost:{port}", key, (200, ANSWER))
    with ExitStack() as stack:
        stack.enter_context(sandbox_running(fake.app(), port=port))
        yield fake


@pytest.fixture
def accord(running: FakeAccord) -> FakeAccord:
    running.answer = (200, ANSWER)
    running.languages.clear()
    return running


def portal(issuer: str, key: ECKey) -> TestClient:
    app = FastAPI()
    config = PortalConfig(
        issuer=issuer, base_url="http://testserver", client_id="portail-famille", recipient=RECIPIENT, key=key
    )
    app.include_router(router(config))
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def client(accord: FakeAccord, key: ECKey) -> Iterator[TestClient]:
    with portal(accord.url, key) as client:
        yield client


def come_back(client: TestClient, accord: FakeAccord, **changes: str) -> Response:
    assert client.post("/quotient-familial").status_code == 303
    query = {"code": "a-code", "state": accord.pushed["state"], "iss": accord.url, **changes}
    return client.get("/retour", params={name: value for name, value in query.items() if value})


def test_the_button_pushes_the_request_and_sends_only_its_reference_through_the_browser(
    client: TestClient, accord: FakeAccord
) -> None:
    target = urlsplit(client.post("/quotient-familial").headers["location"])
    assert target.path == "/oauth/authorize"
    assert parse_qs(target.query) == {"client_id": ["portail-famille"], "request_uri": ["urn:example:1"]}


def test_the_request_says_what_why_for_whom_and_until_when(client: TestClient, accord: FakeAccord) -> None:
    client.post("/quotient-familial")
    detail = accord.detail()
    assert detail["type"] == "urn:accord:quotient_familial"
    assert detail["purpose"] == "tarification_creche"
    assert detail["recipient"] == RECIPIENT
    assert detail["datatypes"][0] == "quotient_familial.valeur"
    assert 0 < detail["expires_at"] - time.time() <= 90 * 86_400
    assert accord.pushed["code_challenge_method"] == "S256"


def test_the_quotient_familial_is_shown_and_nothing_else_of_the_answer(client: TestClient, accord: FakeAccord) -> None:
    back = come_back(client, accord)
    assert back.headers["location"] == "/quotient-familial"
    page = client.get("/quotient-familial")
    assert "1\u202f250" in page.text
    assert "août 2026" in page.text
    assert "CNAF" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert f'href="{accord.url}/mes-acces"' in page.text


def test_accord_is_asked_for_its_refusals_in_french(client: TestClient, accord: FakeAccord) -> None:
    come_back(client, accord)
    assert accord.languages == ["fr"]


def test_a_value_not_agreed_to_is_said_to_be_missing(client: TestClient, accord: FakeAccord) -> None:
    accord.answer = (200, {"data": {"quotient_familial": {"mois": 8}}, "meta": {"index": 1}})
    come_back(client, accord)
    assert "pas reçu la valeur" in client.get("/quotient-familial").text


@pytest.mark.parametrize(
    "changes", [{"state": "another"}, {"state": ""}, {"iss": "https://elsewhere.example"}, {"iss": ""}]
)
def test_an_answer_that_is_not_accords_to_this_request_is_left_alone(
    client: TestClient, accord: FakeAccord, changes: dict[str, str]
) -> None:
    page = come_back(client, accord, **changes)
    assert page.status_code == 400
    assert "aucune de vos demandes" in page.text
    assert accord.languages == []


def test_an_answer_in_another_browser_is_left_alone(client: TestClient, accord: FakeAccord) -> None:
    client.post("/quotient-familial")
    client.cookies.clear()
    page = client.get("/retour", params={"code": "a-code", "state": accord.pushed["state"], "iss": accord.url})
    assert page.status_code == 400


def test_an_answer_serves_once(client: TestClient, accord: FakeAccord) -> None:
    come_back(client, accord)
    query = {"code": "a-code", "state": accord.pushed["state"], "iss": accord.url}
    assert client.get("/retour", params=query).status_code == 400


def test_whoever_refuses_is_told_that_nothing_was_sent(client: TestClient, accord: FakeAccord) -> None:
    page = come_back(client, accord, code="", error="access_denied")
    assert page.status_code == 200
    assert "rien transmis" in page.text


def test_a_refusal_is_shown_in_accords_own_words_and_escaped(client: TestClient, accord: FakeAccord) -> None:
    accord.answer = (403, REFUSAL)
    page = come_back(client, accord)
    assert page.status_code == 403
    assert "Autorisation retirée" in page.text
    assert "&lt;retirée&gt;" in page.text
    assert '<code id="motif">grant_withdrawn</code>' in page.text


def test_asking_again_uses_the_token_of_the_session(client: TestClient, accord: FakeAccord) -> None:
    come_back(client, accord)
    assert client.post("/quotient-familial/actualiser").headers["location"] == "/quotient-familial"
    accord.answer = (403, REFUSAL)
    assert "grant_withdrawn" in client.post("/quotient-familial/actualiser").text


def test_without_a_session_there_is_nothing_to_show(client: TestClient) -> None:
    assert client.get("/quotient-familial").headers["location"] == "/"
    assert client.post("/quotient-familial/actualiser").headers["location"] == "/"


@pytest.mark.parametrize("body", [{"data": {}}, {"meta": {}}, {"data": [], "meta": {"index": 1}}])
def test_an_answer_out_of_form_is_no_answer(client: TestClient, accord: FakeAccord, body: dict[str, object]) -> None:
    accord.answer = (200, body)
    assert come_back(client, accord).status_code == 502


def test_an_accord_that_is_down_is_said_plainly(key: ECKey) -> None:
    with portal(f"http://localhost:{free_port()}", key) as client:
        page = client.post("/quotient-familial")
    assert page.status_code == 502
    assert "momentanément indisponible" in page.text


def test_another_issuer_at_accords_address_is_not_accord(accord: FakeAccord, key: ECKey) -> None:
    with portal(accord.url.replace("localhost", "127.0.0.1"), key) as client:
        assert client.post("/quotient-familial").status_code == 502


def test_pages_run_no_script_and_load_nothing_from_elsewhere(client: TestClient, accord: FakeAccord) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert f"form-action 'self' {accord.url};" in policy + ";"
    assert client.get("/style.css").headers["content-type"].startswith("text/css")
