"""ProConnect's stand-in behaves as ProConnect's documentation says; FranceConnect's tests hold what both share."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from dotenv import dotenv_values
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet

from exchange.keyring import load_keyring
from exchange.proconnect import agent_subject
from exchange.registry_file import parse_registry
from openapi.fields import siret
from providers.config import HolderConfig
from providers.manifest import manifests
from providers.registry import load
from sandbox.app import create_sandbox
from sandbox.proconnect import Partner, Provider, agents_of, router
from sandbox.world import ENVIRONMENT_FILE, KEYS_FOLDER, TOWN_SIRET, World, auditors, make_world
from tests.sandbox.conftest import Clock

pytestmark = pytest.mark.enable_socket

ISSUER = "http://testserver/proconnect/api/v2"
PARTNER = Partner("accord", "a-secret", ("http://localhost:8000/audit/retour",), ("http://localhost:8000/bye",))
OTHER = Partner("other", "a-secret", PARTNER.redirect_uris)
REQUEST = {
    "response_type": "code",
    "client_id": "accord",
    "redirect_uri": PARTNER.redirect_uris[0],
    "acr_values": "eidas1",
    "scope": "openid given_name usual_name siret",
    "state": "s" * 32,
    "nonce": "n" * 32,
}


@pytest.fixture
def client(clock: Clock) -> Iterator[TestClient]:
    app = FastAPI()
    provider = Provider(ISSUER, partners=[PARTNER, OTHER], people=agents_of(TOWN_SIRET), clock=clock)
    app.include_router(router(provider), prefix="/proconnect/api/v2")
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, port=8010, sandbox_port=8011)


def path(endpoint: str) -> str:
    return f"/proconnect/api/v2/{endpoint}"


def tokens(client: TestClient, person: str = "claire", **changes: str) -> Mapping[str, str]:
    request = {**REQUEST, **changes}
    page = client.get(path("authorize"), params=request)
    back = client.post(urlsplit(page.headers["location"]).path, data={"person": person})
    form = {name: request[name] for name in ("client_id", "redirect_uri")} | {"client_secret": PARTNER.client_secret}
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    found: Mapping[str, str] = client.post(
        path("token"), data={**form, "grant_type": "authorization_code", "code": code}
    ).json()
    return found


def userinfo(client: TestClient, person: str = "claire", **changes: str) -> Mapping[str, object]:
    bearer = {"Authorization": f"Bearer {tokens(client, person, **changes)['access_token']}"}
    answer = client.get(path("userinfo"), headers=bearer)
    assert answer.headers["content-type"] == "application/jwt"
    keys = KeySet.import_key_set(client.get(path("jwks")).json())
    return jwt.decode(answer.text, keys, algorithms=["ES256"]).claims


def test_discovery_names_every_endpoint_under_the_issuer(client: TestClient) -> None:
    document = client.get(path(".well-known/openid-configuration")).json()
    places = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert document["issuer"] == ISSUER
    assert document["subject_types_supported"] == ["public"]
    assert {value.removeprefix(ISSUER) for value in places.values()} == {
        "/authorize",
        "/token",
        "/userinfo",
        "/jwks",
        "/session/end",
    }


def test_the_login_page_is_proconnects_and_lists_three_agents(client: TestClient) -> None:
    page = client.get(urlsplit(client.get(path("authorize"), params=REQUEST).headers["location"]).path)
    assert re.findall(r'name="person" value="(\w+)"', page.text) == ["claire", "marc", "nadia"]
    assert "ProConnect" in page.text
    assert "FranceConnect" not in page.text
    assert "script-src" not in page.headers["content-security-policy"]


def test_userinfo_is_signed_and_holds_what_the_scopes_open_and_no_email(client: TestClient) -> None:
    found = userinfo(client)
    assert found.keys() == {"sub", "aud", "iss", "iat", "exp", "given_name", "usual_name", "siret"}
    assert (found["given_name"], found["usual_name"]) == ("Claire", "Fontaine")
    assert userinfo(client, scope="openid siret").keys() == {"sub", "aud", "iss", "iat", "exp", "siret"}


def test_an_agent_is_one_subject_for_every_partner_and_run(client: TestClient) -> None:
    assert userinfo(client)["sub"] == userinfo(client, client_id="other")["sub"] == agents_of(TOWN_SIRET)[0].sub
    assert len({agent.sub for agent in agents_of(TOWN_SIRET)}) == 3


@pytest.mark.parametrize(
    "changes",
    [{"state": "s" * 31}, {"nonce": "n" * 31}, {"code_challenge": "a" * 43}, {"acr_values": ""}, {"client_id": "x"}],
)
def test_a_malformed_request_is_told_on_proconnects_own_page(client: TestClient, changes: dict[str, str]) -> None:
    page = client.get(path("authorize"), params={**REQUEST, **changes})
    assert page.status_code == 400
    assert "Y000400" in page.text


def test_a_hint_of_the_identity_provider_is_among_the_listed_parameters(client: TestClient) -> None:
    assert client.get(path("authorize"), params={**REQUEST, "idp_hint": "x"}).status_code == 303


def test_the_email_cannot_be_asked_for(client: TestClient) -> None:
    answer = client.get(path("authorize"), params={**REQUEST, "scope": "openid email"})
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["invalid_scope"]


def test_there_is_no_checktoken(client: TestClient) -> None:
    assert client.post(path("checktoken"), data={"token": "x"}).status_code == 404


def test_logging_out_needs_its_hint(client: TestClient) -> None:
    query = {"post_logout_redirect_uri": PARTNER.post_logout_redirect_uris[0], "state": "s" * 32}
    assert client.get(path("session/end"), params=query).status_code == 400
    query["id_token_hint"] = tokens(client)["id_token"]
    assert client.get(path("session/end"), params=query).headers["location"].startswith("http://localhost:8000/bye")


def test_the_agents_employers_have_valid_numbers() -> None:
    assert {siret(agent.siret) for agent in agents_of(TOWN_SIRET)} > {TOWN_SIRET}


def test_the_sandbox_has_both_federations_apart(world: World) -> None:
    with TestClient(create_sandbox(world.sandbox), follow_redirects=False) as client:
        issuers = {
            client.get(f"{prefix}/.well-known/openid-configuration").json()["issuer"]
            for prefix in ("/api/v2", "/proconnect/api/v2")
        }
    assert issuers == {"http://localhost:8011/api/v2", "http://localhost:8011/proconnect/api/v2"}


def test_the_demos_registry_lets_the_three_agents_in_under_the_pseudonyms_they_will_have(world: World) -> None:
    holders = {one.holder for one in manifests().values()}
    datasets = load({name: HolderConfig(base_url="http://localhost", token="x") for name in holders})
    entries = parse_registry(world.registry.read_bytes(), datasets).auditor
    settings = dotenv_values(world.folder / ENVIRONMENT_FILE)
    key = load_keyring(world.folder / KEYS_FOLDER).pseudonym
    by_subject = {entry.subject: (entry.role, entry.organisation) for entry in entries}
    subjects = [agent_subject(str(settings["ACCORD_PROCONNECT__ISSUER"]), a.sub, key) for a in agents_of(TOWN_SIRET)]
    assert [by_subject[subject] for subject in subjects] == [
        ("auditor", None),
        ("auditor", TOWN_SIRET),
        ("operator", None),
    ]
    assert by_subject.keys() == {auditor.subject for auditor in auditors(world.sandbox, pseudonym_key=key).values()}


def test_accord_is_registered_with_the_demos_proconnect(world: World) -> None:
    settings = dotenv_values(world.folder / ENVIRONMENT_FILE)
    partner = world.sandbox.agents_partner
    assert settings["ACCORD_PROCONNECT__CLIENT_ID"] == partner.client_id == "accord"
    assert settings["ACCORD_PROCONNECT__CLIENT_SECRET"] == partner.client_secret
    assert partner.client_secret not in repr(world)
    assert partner.redirect_uris == ("http://localhost:8010/audit/retour",)


def test_a_world_made_again_in_its_folder_keeps_its_keys_and_its_auditors(world: World) -> None:
    before = tomllib.loads(world.registry.read_text(encoding="utf-8"))["auditor"]
    again = make_world(world.folder, port=8010, sandbox_port=8011)
    assert tomllib.loads(again.registry.read_text(encoding="utf-8"))["auditor"] == before
