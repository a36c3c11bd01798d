"""Accord's relying party against ``oidc-provider``, the library that FranceConnect itself is made with.

``oidc_provider/server.mjs`` takes its routes, scopes, lifetimes and features from the configuration that FranceConnect
publishes, and makes FranceConnect's two own checks in front of the library: the closed list of parameters, the hint at
logout. Codes, tokens, signatures, sessions and refusals are the library's. The sandbox's stand-in must answer alike.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import pytest
from fastapi import FastAPI

from consent.config import FranceConnectConfig
from consent.franceconnect import Authentication, FranceConnect
from openapi.fields import PivotIdentity, cog_code
from openapi.problem import AccordError
from sandbox.franceconnect import Partner, Provider, router
from sandbox.servers import sandbox_running
from tests.journeys.deployment import free_ports
from tests.sandbox.conftest import PEOPLE as SANDBOX_PEOPLE
from tests.thirdparty.franceconnect_browser import Browser, told
from tests.thirdparty.franceconnect_node import franceconnect_running

pytestmark = pytest.mark.enable_socket

REDIRECT = "https://accord.example/franceconnect/retour"
GOODBYE = "https://accord.example/franceconnect/deconnexion"
SECRET = "a-secret-of-this-test-of-32-chars-at-least"

CAMILLE = {
    "given_name": "Camille Anne",
    "given_name_array": ["Camille", "Anne"],
    "family_name": "MARTIN",
    "preferred_username": "DURIVAGE",
    "birthdate": "1990-02-28",
    "gender": "female",
    "birthplace": "2A004",
    "birthcountry": "99100",
}
ABROAD = {
    "given_name": "Mona",
    "given_name_array": ["Mona"],
    "family_name": "TESTARD",
    "birthdate": "1980-01-12",
    "gender": "female",
    "birthcountry": "99127",
}
PEOPLE = {
    "camille": CAMILLE,
    "abroad": ABROAD,
    "abroad-empty": {**ABROAD, "birthplace": ""},
    "unknown-day": {**CAMILLE, "birthdate": "1951-00-00"},
    "unknown-gender": {**CAMILLE, "gender": ""},
}
SENT_ON_REQUEST = {"auth_time", "at_hash"}
"""Optional in the ID token (OpenID Connect Core section 2): the library sends them when asked, the stand-in always."""

Accord = Callable[..., FranceConnect]
SIGNED = {
    "es256": ("ES256", "ES256"),
    "rs256": ("RS256", "RS256"),
    "hmac": ("HS256", "ES256"),
    "plain": ("ES256", None),
}
"""A partner's registered algorithms: of the ID token, and of the userinfo (``None``: plain JSON)."""


def registered(client_id: str) -> dict[str, object]:
    id_token, userinfo = SIGNED[client_id]
    return {
        "client_id": client_id,
        "client_secret": SECRET,
        "redirect_uris": [REDIRECT],
        "post_logout_redirect_uris": [GOODBYE],
        "id_token_signed_response_alg": id_token,
        **({"userinfo_signed_response_alg": userinfo} if userinfo else {}),
    }


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("franceconnect")
    with franceconnect_running(folder, clients=[registered(name) for name in SIGNED], people=PEOPLE) as issuer:
        yield issuer


@pytest.fixture
def browser(issuer: str) -> Iterator[Browser]:
    with Browser(issuer) as browser:
        yield browser


@pytest.fixture
def accord(issuer: str) -> Iterator[Accord]:
    """Makes Accord's relying party for one of the registered partners."""
    with ExitStack() as life:

        def make(client_id: str = "es256", *, secret: str = SECRET, late: float = 0.0) -> FranceConnect:
            config = FranceConnectConfig(issuer, client_id, secret)
            party = FranceConnect(config, redirect_uri=REDIRECT, clock=lambda: time.time() + late)
            return life.enter_context(closing(party))

        yield make


@pytest.fixture
def party(accord: Accord) -> FranceConnect:
    return accord()


def arrive(party: FranceConnect, browser: Browser, person: str = "camille", nonce: str | None = None) -> Authentication:
    departure = party.depart()
    back = browser.log_in(departure.url, person=person)
    assert back["state"] == departure.state
    return party.authenticate(code=back["code"], nonce=nonce or departure.nonce)


def refusal(party: FranceConnect, browser: Browser, person: str = "camille", nonce: str | None = None) -> str:
    with pytest.raises(AccordError) as refused:
        arrive(party, browser, person, nonce)
    return " ".join([refused.value.slug, *map(str, refused.value.facts.values())])


def part(token: str, index: int) -> dict[str, object]:
    encoded = token.split(".")[index]
    found: dict[str, object] = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return found


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_citizen_logs_in_with_either_algorithm_of_franceconnects(accord, browser, algorithm):
    arrived = arrive(accord(algorithm.lower()), browser)
    assert arrived.identity == PivotIdentity(
        family_name="MARTIN",
        gender="female",
        birthcountry=cog_code("99100", field="birthcountry"),
        given_names=("Camille", "Anne"),
        birthdate="1990-02-28",
        birthplace=cog_code("2A004", field="birthplace"),
        preferred_username="DURIVAGE",
    )
    assert arrived.acr == "eidas1"
    assert part(arrived.id_token, 0)["alg"] == algorithm


@pytest.mark.parametrize("person", ["abroad", "abroad-empty"])
def test_someone_born_abroad_without_birthplace_logs_in(party, browser, person):
    identity = arrive(party, browser, person).identity
    assert identity.birthplace is None
    assert identity.birthcountry == "99127"


def test_someone_whose_day_of_birth_is_unknown_logs_in(party, browser):
    assert arrive(party, browser, "unknown-day").identity.birthdate == "1951-00-00"


def test_an_identity_without_gender_is_refused_by_the_name_of_the_claim(party, browser):
    assert refusal(party, browser, "unknown-gender") == "identity_incomplete gender"


def test_the_nonce_of_another_login_logs_nobody_in(party, browser):
    assert refusal(party, browser, nonce="n" * 43) == "franceconnect_answer_invalid nonce"


def test_a_code_serves_once(party, browser):
    departure = party.depart()
    code = browser.log_in(departure.url, person="camille")["code"]
    assert party.authenticate(code=code, nonce=departure.nonce).acr == "eidas1"
    with pytest.raises(AccordError, match="login_refused"):
        party.authenticate(code=code, nonce=departure.nonce)


def test_a_code_made_for_another_partner_logs_nobody_in(accord, party, browser):
    departure = accord("rs256").depart()
    code = browser.log_in(departure.url, person="camille")["code"]
    with pytest.raises(AccordError, match="login_refused"):
        party.authenticate(code=code, nonce=departure.nonce)


def test_a_wrong_secret_logs_nobody_in(accord, browser):
    assert refusal(accord(secret="w" * 42), browser) == "franceconnect_answer_invalid token"


def test_an_id_token_signed_with_the_secret_logs_nobody_in(accord, browser):
    assert refusal(accord("hmac"), browser).startswith("franceconnect_answer_invalid")


def test_a_userinfo_without_signature_logs_nobody_in(accord, browser):
    assert refusal(accord("plain"), browser) == "franceconnect_answer_invalid userinfo"


def test_an_id_token_lives_a_minute_and_is_too_old_soon_after(issuer, accord, browser):
    claims = part(arrive(accord(), browser).id_token, 1)
    assert claims["exp"] - claims["iat"] == 60
    with Browser(issuer) as another:
        assert refusal(accord(late=120), another) == "franceconnect_answer_invalid id_token"


def test_two_partners_see_two_subjects(issuer, accord, browser):
    with Browser(issuer) as another:
        arrived = [arrive(accord("es256"), browser), arrive(accord("rs256"), another)]
    assert len({part(each.id_token, 1)["sub"] for each in arrived}) == 2


def test_a_parameter_more_than_accord_sends_would_be_refused(party, browser):
    assert browser.open(party.depart().url).status_code == 200
    refused = browser.open(f"{party.depart().url}&code_challenge={'a' * 43}&code_challenge_method=S256")
    assert (refused.status_code, refused.text) == (400, "Y000400 parameter not listed: code_challenge")


def test_logging_out_ends_the_session_there(party, browser):
    arrived = arrive(party, browser)
    assert "code" in told(browser.open(party.depart().url)), "the session should spare a second login"
    back = browser.log_out(party.logout_url(arrived.id_token, return_to=GOODBYE))
    assert back.headers["location"].startswith(f"{GOODBYE}?")
    assert len(told(back)["state"]) >= 22
    page = browser.open(party.depart().url)
    assert page.status_code == 200
    assert "/interaction/" in str(page.url)


def test_logging_out_without_the_hint_ends_nothing(party, browser):
    arrive(party, browser)
    refused = browser.open(party.logout_url("", return_to=GOODBYE))
    assert refused.status_code == 400
    assert "code" in told(browser.open(party.depart().url))


def test_logging_out_towards_an_address_that_is_not_registered_is_refused(party, browser):
    arrived = arrive(party, browser)
    refused = browser.open(party.logout_url(arrived.id_token, return_to="https://elsewhere.example/"))
    assert refused.status_code == 400


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    """The sandbox's FranceConnect, with the same partner and someone whose identity is as complete."""
    (port,) = free_ports(1)
    issuer = f"http://127.0.0.1:{port}/api/v2"
    partner = Partner("es256", SECRET, (REDIRECT,), (GOODBYE,))
    app = FastAPI()
    app.include_router(router(Provider(issuer, partners=[partner], people=SANDBOX_PEOPLE)), prefix="/api/v2")
    with sandbox_running(app, port=port):
        yield issuer


def discovery(issuer: str) -> dict[str, object]:
    """What a partner reads there, but for where it stands and which algorithms its clients may choose."""
    document = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=20, trust_env=False).json()
    names = ("response_types", "grant_types", "subject_types", "acr_values", "token_endpoint_auth_methods")
    found = {f"{name}_supported": document[f"{name}_supported"] for name in names}
    places = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    return found | {name: value.removeprefix(issuer) for name, value in places.items()}


def code_form(issuer: str, person: str) -> dict[str, str]:
    """Log in as Accord sends people there; what the token endpoint is then to be posted."""
    config = FranceConnectConfig(issuer, "es256", SECRET)
    with closing(FranceConnect(config, redirect_uri=REDIRECT, clock=time.time)) as party, Browser(issuer) as browser:
        code = browser.log_in(party.depart().url, person=person)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    return form | {"client_id": "es256", "client_secret": SECRET}


def shape(issuer: str, person: str) -> dict[str, object]:
    """Every answer of one login, without what is different each time."""
    form = code_form(issuer, person)
    with httpx.Client(timeout=20, trust_env=False) as client:
        tokens = client.post(f"{issuer}/token", data=form).json()
        userinfo, unknown = (
            client.get(f"{issuer}/userinfo", headers={"Authorization": f"Bearer {token}"})
            for token in (tokens["access_token"], "unknown")
        )
        spent = client.post(f"{issuer}/token", data=form)
        wrong = client.post(f"{issuer}/token", data=form | {"client_secret": "w" * 42})
    return {
        "tokens": tokens.keys(),
        "life": (tokens["expires_in"], tokens["token_type"], tokens["scope"]),
        "id_token": part(tokens["id_token"], 1).keys() - SENT_ON_REQUEST,
        "userinfo": part(userinfo.text, 1).keys(),
        "userinfo type": userinfo.headers["content-type"].split(";")[0],
        "signed by": (part(tokens["id_token"], 0)["alg"], part(userinfo.text, 0)["alg"]),
        "refusals": [(each.status_code, each.json()) for each in (unknown, spent, wrong)],
    }


def test_the_sandboxs_stand_in_publishes_the_same_discovery(issuer, stand_in):
    assert discovery(stand_in) == discovery(issuer)


def test_the_sandboxs_stand_in_gives_the_same_answers_and_the_same_refusals(issuer, stand_in):
    assert shape(stand_in, "anne") == shape(issuer, "camille")
