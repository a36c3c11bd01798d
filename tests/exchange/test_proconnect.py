"""Agents log in with ProConnect: against the sandbox's stand-in over real HTTP, honest and bent."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from audit.ports import Agent, AgentLogin
from consent.config import PartnerConfig
from exchange.proconnect import SLUGS, ProConnect, agent_subject
from openapi.problem import AccordError, problems
from sandbox.proconnect import Partner, Provider, agents_of, router
from sandbox.servers import sandbox_running
from tests.consent.pages.loopback_franceconnect import unsigned
from tests.sandbox.conftest import Clock, free_port
from tests.thirdparty.franceconnect_browser import Browser, told

pytestmark = pytest.mark.enable_socket

REDIRECT = "https://accord.example/audit/retour"
GOODBYE = "https://accord.example/audit/deconnexion"
SECRET = "a-secret-of-this-test"
KEY = b"p" * 32
PARTNER = Partner("accord", SECRET, (REDIRECT,), (GOODBYE,))
OTHER = Partner("another", SECRET, (REDIRECT,), (GOODBYE,))
AGENTS = agents_of("21990001600011")
CLAIRE = AGENTS[0]
NOTHING: Mapping[str, object] = {}


class Bent(Provider):
    """The stand-in, with claims changed and answers signed as an attacker would."""

    change: Mapping[str, object] = NOTHING
    info: Mapping[str, object] = NOTHING
    sign: Callable[[dict[str, object]], str] | None = None

    def _id_token_claims(self, done, access_token):
        return _without_none(super()._id_token_claims(done, access_token) | self.change)

    def userinfo(self, access_token: str) -> str | None:
        issued = self._tokens.get(access_token)
        if issued is None:
            return None
        claims = {**self._common_claims(issued.done), **self.identity_claims(issued.done.person, ("given_name",))}
        claims = _without_none({**claims, "usual_name": issued.done.person.usual_name, **self.info})
        return (self.sign or self._sign)(claims)


def _without_none(claims: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in claims.items() if value is not None}


@dataclass
class Place:
    """One running ProConnect, honest until told otherwise."""

    issuer: str
    provider: Bent
    clock: Clock


@pytest.fixture(scope="module")
def running() -> Iterator[Place]:
    port = free_port()
    clock = Clock()
    issuer = f"http://127.0.0.1:{port}/proconnect/api/v2"
    provider = Bent(issuer, partners=[PARTNER, OTHER], people=AGENTS, clock=clock)
    app = FastAPI()
    app.include_router(router(provider), prefix="/proconnect/api/v2")
    with sandbox_running(app, port=port):
        yield Place(issuer, provider, clock)


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    yield running
    running.provider.change, running.provider.info, running.provider.sign = NOTHING, NOTHING, None


@pytest.fixture
def registered(place: Place) -> Iterator[Callable[..., ProConnect]]:
    """Makes Accord's relying party for one of the partners."""
    with ExitStack() as life:

        def make(client_id: str = "accord", *, key: bytes = KEY, secret: str = SECRET) -> ProConnect:
            config = PartnerConfig(place.issuer, client_id, secret)
            login = ProConnect(config, redirect_uri=REDIRECT, pseudonym_key=key, clock=place.clock)
            return life.enter_context(closing(login))

        yield make


@pytest.fixture
def party(registered: Callable[..., ProConnect]) -> ProConnect:
    return registered()


def arrive(party: AgentLogin, place: Place, *, person: str = "claire", nonce: str | None = None) -> Agent:
    departure = party.depart()
    with Browser(place.issuer) as browser:
        back = browser.log_in(departure.url, person=person)
    assert back["state"] == departure.state
    return party.authenticate(code=back["code"], nonce=nonce or departure.nonce)


def refusal(party: ProConnect, place: Place, *, nonce: str | None = None) -> str:
    with pytest.raises(AccordError) as refused:
        arrive(party, place, nonce=nonce)
    return " ".join([refused.value.slug, *map(str, refused.value.facts.values())])


def test_an_agent_logs_in_under_her_pseudonym(party, place):
    agent = arrive(party, place)
    assert agent.subject == agent_subject(place.issuer, CLAIRE.sub, KEY)
    assert agent.name == "Claire Fontaine"
    assert len(agent.id_token.split(".")) == 3


def test_the_pseudonym_is_the_same_at_every_login_and_another_for_anybody_else(party, registered, place):
    first, again = arrive(party, place).subject, arrive(party, place).subject
    others = {arrive(party, place, person="marc").subject, arrive(registered(key=b"q" * 32), place).subject}
    assert first == again
    assert first not in others
    assert len(others) == 2


def test_the_same_sub_of_another_issuer_is_another_agent():
    assert agent_subject("https://a.example", "s", KEY) != agent_subject("https://b.example", "s", KEY)
    assert agent_subject("https://a.example", "s", KEY).removeprefix("a_").isalnum()


def test_no_one_can_read_the_sub_or_the_name_off_an_agent(party, place):
    agent = arrive(party, place)
    assert CLAIRE.sub not in agent.subject
    assert "Fontaine" not in repr(agent)


def test_the_departure_asks_for_no_more_than_is_listed_and_not_for_the_email(party, place):
    parts = urlsplit(party.depart().url)
    sent = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{place.issuer}/authorize"
    assert sent.keys() == {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "acr_values"}
    assert sent["scope"] == ["openid given_name usual_name siret"]
    assert sent["acr_values"] == ["eidas1"]
    assert len(sent["state"][0]) >= 32
    assert len(sent["nonce"][0]) >= 32


def test_the_nonce_of_another_login_logs_nobody_in(party, place):
    assert refusal(party, place, nonce="n" * 43) == "proconnect_answer_invalid nonce"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://elsewhere.example/api/v2"},
        {"exp": 1},
        {"nonce": None},
        {"sub": None},
    ],
)
def test_an_id_token_that_is_not_for_this_login_logs_nobody_in(party, place, change):
    place.provider.change = change
    assert refusal(party, place) == "proconnect_answer_invalid id_token"


@pytest.mark.parametrize("acr", ["eidas0", "eidas0-mfa", None, ["eidas1"], ""])
def test_an_identity_that_nobody_checked_logs_nobody_in(party, place, acr):
    place.provider.change = {"acr": acr}
    assert refusal(party, place) == "proconnect_answer_invalid acr"


@pytest.mark.parametrize("acr", ["eidas1-mfa", "eidas2", "eidas3"])
def test_a_better_checked_identity_logs_in(party, place, acr):
    place.provider.change = {"acr": acr}
    assert arrive(party, place).name == "Claire Fontaine"


@pytest.mark.parametrize(
    ("info", "check"),
    [
        ({"aud": "another"}, "userinfo"),
        ({"iss": "https://elsewhere.example/api/v2"}, "userinfo"),
        ({"sub": "somebody-else"}, "userinfo sub"),
        ({"given_name": None}, "userinfo given_name"),
        ({"usual_name": ""}, "userinfo usual_name"),
        ({"usual_name": "x" * 257}, "userinfo usual_name"),
        ({"usual_name": "Fon\x00taine"}, "userinfo usual_name"),
        ({"usual_name": "eniatnoF\u202e"}, "userinfo usual_name"),
        ({"usual_name": ["Fontaine"]}, "userinfo usual_name"),
    ],
)
def test_a_userinfo_out_of_form_logs_nobody_in(party, place, info, check):
    place.provider.info = info
    assert refusal(party, place) == f"proconnect_answer_invalid {check}"


@pytest.mark.parametrize("sub", ["", "a b", "x" * 257, "é", "a\n", 7])
def test_a_sub_that_proconnect_would_not_give_logs_nobody_in(party, place, sub):
    place.provider.change = place.provider.info = {"sub": sub}
    assert refusal(party, place) in {"proconnect_answer_invalid userinfo sub", "proconnect_answer_invalid id_token"}


def test_a_long_name_is_cut_for_the_page(party, place):
    place.provider.info = {"given_name": " Anne   Lise ", "usual_name": "x" * 256}
    assert arrive(party, place).name == "Anne Lise " + "x" * 90


@pytest.mark.parametrize("signed", ["none", "json", "by another key"])
def test_a_userinfo_that_proconnect_did_not_sign_logs_nobody_in(party, place, signed):
    kid = place.provider.jwks()["keys"][0]["kid"]
    stranger = Provider(place.issuer, partners=[], people=[])
    stranger._key, stranger._kid = ECKey.generate_key("P-256"), kid
    place.provider.sign = {
        "none": lambda claims: unsigned({"alg": "none", "kid": kid}, claims),
        "json": str,
        "by another key": stranger._sign,
    }[signed]
    assert refusal(party, place) == "proconnect_answer_invalid userinfo"


def test_a_code_serves_once(party, place):
    departure = party.depart()
    with Browser(place.issuer) as browser:
        code = browser.log_in(departure.url, person="claire")["code"]
    assert party.authenticate(code=code, nonce=departure.nonce)
    with pytest.raises(AccordError, match="agent_login_refused"):
        party.authenticate(code=code, nonce=departure.nonce)


def test_an_expired_code_logs_nobody_in(party, place):
    departure = party.depart()
    with Browser(place.issuer) as browser:
        code = browser.log_in(departure.url, person="claire")["code"]
    place.clock.now += 31
    with pytest.raises(AccordError, match="agent_login_refused"):
        party.authenticate(code=code, nonce=departure.nonce)


def test_a_code_made_for_another_partner_logs_nobody_in(party, registered, place):
    departure = registered("another").depart()
    with Browser(place.issuer) as browser:
        code = browser.log_in(departure.url, person="claire")["code"]
    with pytest.raises(AccordError, match="agent_login_refused"):
        party.authenticate(code=code, nonce=departure.nonce)


def test_a_wrong_secret_logs_nobody_in(registered, place):
    assert refusal(registered(secret="wrong"), place) == "proconnect_answer_invalid token"


def test_a_proconnect_that_is_down_is_said_to_be_down():
    config = PartnerConfig(f"http://127.0.0.1:{free_port()}/api/v2", "accord", SECRET)
    with closing(ProConnect(config, redirect_uri=REDIRECT, pseudonym_key=KEY, clock=time.time)) as party:
        for act in (
            party.depart,
            lambda: party.authenticate(code="c", nonce="n"),
            lambda: party.logout_url("", return_to=""),
        ):
            with pytest.raises(AccordError, match="proconnect_unreachable"):
                act()


def test_plain_http_is_for_this_machine_alone(place):
    config = replace(PartnerConfig(place.issuer, "accord", SECRET), issuer="http://proconnect.example/api/v2")
    with pytest.raises(ValueError, match="https is required"):
        ProConnect(config, redirect_uri=REDIRECT, pseudonym_key=KEY, clock=time.time)


def test_logging_out_returns_with_a_fresh_state(party, place):
    agent = arrive(party, place)
    with Browser(place.issuer) as browser:
        back = browser.open(party.logout_url(agent.id_token, return_to=GOODBYE))
        assert back.headers["location"].startswith(f"{GOODBYE}?")
        assert len(told(back)["state"]) >= 32
        assert browser.open(party.logout_url("", return_to=GOODBYE)).status_code == 400


def test_every_failure_of_a_login_is_a_registered_problem():
    assert {SLUGS.unreachable, SLUGS.answer_invalid, SLUGS.refused} < problems().keys()
    unknown = problems()["auditor_unknown"].document({"reference": "a_0"}, base="")
    assert (unknown["status"], "a_0" in str(unknown["detail"])) == (403, True)
    assert problems()["auditor_login_required"].status == 401
