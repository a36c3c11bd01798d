"""FranceConnect over real loopback HTTP: what is sent, what is believed, and what is not."""

import contextlib
import dataclasses
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from consent import outbound
from consent.config import FranceConnectConfig
from consent.franceconnect import FranceConnect
from openapi.problem import AccordError
from tests.consent.pages.loopback_franceconnect import CLIENT_ID, CLIENT_SECRET, LoopbackFranceConnect, slowly
from tests.consent.pages.scene import NOW

pytestmark = pytest.mark.enable_socket
REDIRECT = "https://accord.example/franceconnect/retour"


@pytest.fixture
def server(loopback: LoopbackFranceConnect) -> Iterator[LoopbackFranceConnect]:
    loopback.reset()
    yield loopback
    loopback.reset()


@dataclasses.dataclass
class Clock:
    at: float = NOW

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def party(server: LoopbackFranceConnect, clock: Clock) -> FranceConnect:
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    return FranceConnect(config, redirect_uri=REDIRECT, clock=clock)


def log_in(party: FranceConnect, server: LoopbackFranceConnect, **expected: str):
    departure = party.depart()
    server.nonce = departure.nonce
    return party.authenticate(code="the-code", nonce=expected.get("nonce", departure.nonce))


def refused(party: FranceConnect, server: LoopbackFranceConnect, **expected: str) -> str:
    with pytest.raises(AccordError) as refusal:
        log_in(party, server, **expected)
    return f"{refusal.value.slug} {refusal.value.facts.get('check', '')}".strip()


def test_the_departure_carries_exactly_the_parameters_franceconnect_lists(party, server):
    parts = urlsplit(party.depart().url)
    sent = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{server.issuer}/authorize"
    assert sent.keys() == {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "acr_values"}
    assert sent["acr_values"] == ["eidas1"]
    assert sent["redirect_uri"] == [REDIRECT]
    assert len(sent["nonce"][0]) >= 22
    assert "openid" in sent["scope"][0].split()


def test_state_and_nonce_never_serve_twice(party):
    departures = [party.depart() for _ in range(20)]
    assert len({value for each in departures for value in (each.state, each.nonce)}) == 40


def test_the_identity_is_the_one_in_the_signed_userinfo(party, server):
    arrived = log_in(party, server)
    assert arrived.identity.family_name == "MARTIN"
    assert arrived.identity.given_names == ("Camille", "Anne")
    assert arrived.acr == "eidas1"


def test_the_code_is_exchanged_with_the_secret_in_the_body_and_without_pkce(party, server):
    log_in(party, server)
    assert server.token_form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }


def test_someone_born_abroad_on_an_unknown_day_without_birthplace_logs_in(party, server):
    server.changes["userinfo"] = {"birthplace": "", "birthdate": "1968-00-00", "birthcountry": "99139"}
    arrived = log_in(party, server)
    assert arrived.identity.birthplace is None
    assert arrived.identity.birthdate == "1968-00-00"


def test_rs256_is_accepted(party, server):
    key = RSAKey.generate_key(2048, {"kid": "fc-rsa", "use": "sig", "alg": "RS256"})
    server.published, server.signs_with, server.algorithm = [key], key, "RS256"
    assert log_in(party, server).acr == "eidas1"


@pytest.mark.parametrize(
    ("token", "change"),
    [
        ("id_token", {"iss": "https://evil.example/api/v2"}),
        ("id_token", {"aud": "someone-else"}),
        ("id_token", {"exp": NOW - 60}),
        ("id_token", {"exp": None}),
        ("id_token", {"iat": NOW + 600}),
        ("id_token", {"nonce": None}),
        ("id_token", {"sub": None}),
        ("userinfo", {"iss": "https://evil.example/api/v2"}),
        ("userinfo", {"aud": "someone-else"}),
        ("userinfo", {"aud": None}),
        ("userinfo", {"exp": NOW - 60}),
    ],
)
def test_a_token_with_a_wrong_claim_logs_nobody_in(party, server, token, change):
    server.changes[token] = change
    assert refused(party, server) == f"franceconnect_answer_invalid {token}"


def test_the_nonce_of_another_login_logs_nobody_in(party, server):
    assert refused(party, server, nonce="another-nonce-of-22-chars") == "franceconnect_answer_invalid nonce"


def test_a_nonce_of_half_a_character_logs_nobody_in(party, server):
    claims = {"iss": server.issuer, "aud": CLIENT_ID, "sub": "f", "iat": NOW, "exp": NOW + 60, "nonce": "\ud800"}
    token = jws.serialize_compact({"alg": "ES256", "kid": "fc-1"}, json.dumps(claims), server.key)
    body = json.dumps({"access_token": "at", "token_type": "Bearer", "id_token": token}).encode()
    server.answers["/token"] = lambda: (200, "application/json", body)
    assert refused(party, server) == "franceconnect_answer_invalid nonce"


def test_an_assurance_below_eidas1_logs_nobody_in(party, server):
    server.changes["id_token"] = {"acr": "eidas0"}
    assert refused(party, server) == "franceconnect_answer_invalid acr"


def test_the_userinfo_of_somebody_else_logs_nobody_in(party, server):
    server.changes["userinfo"] = {"sub": "e" * 64 + "v1"}
    assert refused(party, server) == "franceconnect_answer_invalid userinfo sub"


def test_an_identity_without_gender_is_refused_by_name_of_the_claim_alone(party, server):
    server.changes["userinfo"] = {"gender": None}
    with pytest.raises(AccordError) as refusal:
        log_in(party, server)
    assert (refusal.value.slug, refusal.value.facts) == ("identity_incomplete", {"field": "gender"})


def test_an_unsigned_token_logs_nobody_in(party, server):
    server.algorithm = "none"
    assert refused(party, server) == "franceconnect_answer_invalid id_token"


def test_a_token_signed_by_hmac_with_the_public_key_logs_nobody_in(party, server):
    server.algorithm = "HS256"
    server.signs_with = OctKey.import_key(server.key.as_dict(private=False)["x"], {"kid": "fc-1"})
    assert refused(party, server) == "franceconnect_answer_invalid id_token"


def test_a_token_signed_by_another_key_under_a_known_name_logs_nobody_in(party, server):
    server.signs_with = type(server.key).generate_key("P-256", {"kid": "fc-1"})
    assert refused(party, server) == "franceconnect_answer_invalid id_token"


def test_a_new_key_is_found_when_the_pause_is_over_and_asked_for_once_before(party, server, clock):
    log_in(party, server)
    server.signs_with, server.published = server.other_key, [server.key, server.other_key]
    assert refused(party, server) == "franceconnect_answer_invalid kid"
    assert refused(party, server) == "franceconnect_answer_invalid kid"
    assert server.calls.count("/jwks") == 1
    clock.at += 30
    assert log_in(party, server).acr == "eidas1"
    assert server.calls.count("/jwks") == 2


def test_the_discovery_is_asked_for_once_an_hour(party, server, clock):
    for _ in range(3):
        party.depart()
    assert server.calls.count("/.well-known/openid-configuration") == 1
    clock.at += 3601
    party.depart()
    assert server.calls.count("/.well-known/openid-configuration") == 2


def test_a_discovery_that_points_elsewhere_is_refused(party, server):
    body = b'{"issuer": "%s", "authorization_endpoint": "https://evil.example/authorize"}' % server.issuer.encode()
    server.answers["/.well-known/openid-configuration"] = lambda: (200, "application/json", body)
    assert refused(party, server) == "franceconnect_answer_invalid discovery authorization_endpoint"


def test_a_code_that_served_already_ends_the_login_without_fuss(party, server):
    server.answers["/token"] = lambda: (400, "application/json", b'{"error": "invalid_grant"}')
    assert refused(party, server) == "login_refused"


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((500, "text/html", b"oops"), "franceconnect_unreachable"),
        ((200, "text/html", b"<html>"), "franceconnect_answer_invalid"),
        ((200, "application/json", b"[]"), "franceconnect_answer_invalid"),
        ((200, "application/json", b"\xff\xfe"), "franceconnect_answer_invalid"),
        ((200, "application/json", b"x" * 200_000), "franceconnect_unreachable"),
    ],
)
def test_a_broken_answer_is_one_of_two_problems(party, server, path, answer, expected):
    server.answers[path] = lambda: answer
    assert refused(party, server).split()[0] == expected


def test_a_slow_franceconnect_is_not_waited_for(server, clock):
    server.answers["/.well-known/openid-configuration"] = slowly(0.6)
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    party = FranceConnect(config, redirect_uri=REDIRECT, clock=clock, timeout=0.2)
    assert refused(party, server) == "franceconnect_unreachable"


def test_a_franceconnect_that_is_down_is_said_to_be_down(clock):
    party = FranceConnect(
        FranceConnectConfig("http://127.0.0.1:9/api/v2", "a", "b"), redirect_uri=REDIRECT, clock=clock
    )
    with pytest.raises(AccordError, match="franceconnect_unreachable"):
        party.depart()


@pytest.mark.parametrize("url", ["http://fc.example/api/v2", "ftp://localhost/", "http://127.0.0.1.evil.example/"])
def test_plain_http_is_for_this_machine_alone(url):
    with pytest.raises(ValueError, match="https is required"):
        outbound.check_transport(url)


def test_the_logout_carries_the_hint_that_franceconnect_needs(party, server):
    parts = urlsplit(party.logout_url("the.id.token", return_to="https://accord.example/deconnexion"))
    sent = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{server.issuer}/session/end"
    assert sent.keys() == {"id_token_hint", "state", "post_logout_redirect_uri"}
    assert sent["id_token_hint"] == ["the.id.token"]


def test_neither_departure_nor_identity_shows_in_a_traceback(party, server):
    arrived = log_in(party, server)
    assert "MARTIN" not in repr(arrived)
    assert "MARTIN" not in repr(arrived.identity)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "issuer",
        "jwks_uri",
        "keys",
        "kty",
        "kid",
        "crv",
        "x",
        "y",
        "access_token",
        "token_type",
        "expires_in",
        "error",
        "error_description",
        "id_token",
        "alg",
        "crit",
        "b64",
        "typ",
        "enc",
    ]
)


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.sampled_from(["/jwks", "/token"]), changes=st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_franceconnect_answers_the_refusal_is_a_declared_one(party, server, path, changes):
    server.reset()
    body = json.loads(server.answer(path)[2])
    server.answers[path] = lambda: (200, "application/json", json.dumps({**body, **changes}).encode())
    with contextlib.suppress(AccordError):
        log_in(party, server)
    server.reset()
    party._published._keys = None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.dictionaries(NAMES, JSON, max_size=3), payload=JSON)
def test_whatever_token_comes_the_refusal_is_a_declared_one(party, server, changes, payload):
    server.reset()
    token = f"{encoded({'alg': 'ES256', 'kid': 'fc-1', **changes})}.{encoded(payload)}.{'A' * 86}"
    server.answers["/userinfo"] = lambda: (200, "application/jwt", token.encode())
    with pytest.raises(AccordError, match="franceconnect_answer_invalid"):
        log_in(party, server)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_key_is_published_the_refusal_is_a_declared_one(party, server, key):
    server.reset()
    published = {"keys": [{"kty": "EC", "crv": "P-256", **key, "kid": "fc-1"}]}
    server.answers["/jwks"] = lambda: (200, "application/json", json.dumps(published).encode())
    party._published._keys = None
    with pytest.raises(AccordError, match="franceconnect_answer_invalid"):
        log_in(party, server)
