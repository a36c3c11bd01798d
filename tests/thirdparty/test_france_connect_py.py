"""``france-connect-py``, which real service providers use, logs a citizen in at the sandbox's FranceConnect.

The package is the one on PyPI, unmodified. What it expects of FranceConnect v2 (its paths, its parameters, signed
userinfo, logout by hint) is what the stand-in must offer.
"""

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from fastapi import FastAPI

from sandbox.franceconnect import Partner, Provider, router
from sandbox.servers import sandbox_running
from tests.conftest import skip_unless_ci
from tests.journeys.deployment import free_ports
from tests.sandbox.conftest import PEOPLE
from tests.thirdparty.franceconnect_browser import Browser, told

pytestmark = pytest.mark.enable_socket

PREFIX = "/api/v2"
PARTNER = Partner(
    client_id="a-town",
    client_secret="a-secret-of-this-test",
    redirect_uris=("https://town.example/retour",),
    post_logout_redirect_uris=("https://town.example/au-revoir",),
)


@pytest.fixture(scope="module")
def library() -> ModuleType:
    try:
        return importlib.import_module("france_connect.clients")
    except ImportError:
        skip_unless_ci("france-connect-py is not installed")
        raise


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    (port,) = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    app = FastAPI()
    app.include_router(router(Provider(base + PREFIX, partners=[PARTNER], people=PEOPLE)), prefix=PREFIX)
    with sandbox_running(app, port=port):
        yield base


@pytest.fixture
def town(library: ModuleType, base_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service provider as the package's documentation writes it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    scopes = library.Scopes
    return library.FranceConnect(
        client_id=PARTNER.client_id,
        client_secret=PARTNER.client_secret,
        scopes=[scopes.OPEN_ID, scopes.IDENTITE_PIVOT, scopes.PREFERRED_USERNAME],
        login_callback_url=PARTNER.redirect_uris[0],
        logout_callback_url=PARTNER.post_logout_redirect_uris[0],
        fc_base_url=base_url,
    )


@pytest.fixture
def browser(base_url: str) -> Iterator[Browser]:
    with Browser(base_url + PREFIX) as browser:
        yield browser


def arrive(town: Any, browser: Browser, person: str = "anne") -> tuple[dict[str, str], dict[str, Any]]:
    """Log in and redeem the code: the tokens, and the claims of the ID token that the package verified."""
    url, nonce, state = town.get_authentication_url()
    back = browser.log_in(url, person=person)
    assert back["state"] == state
    tokens, claims = town.get_id_token(back["code"])
    assert claims["nonce"] == nonce
    return tokens, claims


def test_the_discovery_names_the_addresses_that_the_package_was_built_with(town, base_url):
    document = town.get_configuration()
    assert document["issuer"] == base_url + PREFIX
    assert {
        "authorization_endpoint": base_url + town.fc_authorization_url,
        "token_endpoint": base_url + town.fc_token_url,
        "userinfo_endpoint": base_url + town.fc_userinfo_url,
        "jwks_uri": base_url + town.fc_jwks_url,
        "end_session_endpoint": base_url + town.fc_logout_url,
    }.items() <= document.items()


def test_the_package_has_the_identity_from_a_userinfo_whose_signature_it_verified(town, browser):
    tokens, claims = arrive(town, browser)
    found = town.get_user_info(tokens["access_token"])
    identity = {name: value for name, value in found.items() if name not in ("sub", "aud", "iss", "iat", "exp")}
    assert identity == {
        "given_name": "Anne Lise",
        "given_name_array": ["Anne", "Lise"],
        "family_name": "MARCEAU",
        "preferred_username": "DURIVAGE",
        "birthdate": "1984-07-23",
        "gender": "female",
        "birthplace": "2A004",
        "birthcountry": "99100",
    }
    assert found["sub"] == claims["sub"]
    assert claims["acr"] == "eidas1"


@pytest.mark.parametrize(
    ("person", "claim", "value"), [("mona", "birthplace", ""), ("jean", "birthdate", "1951-00-00")]
)
def test_the_package_reads_identities_that_are_incomplete(town, browser, person, claim, value):
    tokens, _ = arrive(town, browser, person)
    assert town.get_user_info(tokens["access_token"])[claim] == value


def test_a_userinfo_with_a_changed_signature_is_refused_by_the_package(town, browser, base_url):
    tokens, _ = arrive(town, browser)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = httpx.get(f"{base_url}{PREFIX}/userinfo", headers=bearer, timeout=20, trust_env=False)
    assert answer.headers["content-type"] == "application/jwt"
    head, body, signature = answer.text.split(".")
    assert town.verify_jwt(answer.text)["family_name"] == "MARCEAU"
    with pytest.raises(jwt.InvalidSignatureError):
        town.verify_jwt(f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}")


def test_the_packages_logout_brings_the_citizen_back(town, browser):
    tokens, _ = arrive(town, browser)
    answer = browser.open(town.get_logout_url(tokens["id_token"], "the-state-of-this-logout"))
    assert answer.headers["location"].startswith(PARTNER.post_logout_redirect_uris[0])
    assert told(answer) == {"state": "the-state-of-this-logout"}


def test_the_packages_logout_without_the_hint_is_refused(town, browser):
    assert browser.open(town.get_logout_url("", "the-state-of-this-logout")).status_code == 400


def test_an_assurance_that_the_partner_may_not_ask_for_comes_back_as_an_error(town, library, browser):
    url, _, state = town.get_authentication_url(acr_values=[library.ACRValues.EIDAS2])
    assert parse_qs(urlsplit(url).query)["acr_values"] == ["eidas2"]
    back = told(browser.open(url))
    assert (back["error"], back["state"]) == ("invalid_request", state)
