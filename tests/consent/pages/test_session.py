"""What the browser keeps for us: sealed, bounded, and good for one purpose."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from consent.model import Citizen
from consent.session import COOKIE_LIMIT, LOGIN_LIFETIME, SESSION_LIFETIME, FormGuard, Login, Seal, Session, Sessions
from tests.consent.pages.scene import CITIZEN, NOW, SESSION_KEY

ID_TOKEN = "the.id.token"


@dataclass
class Clock:
    at: float = NOW

    def __call__(self) -> float:
        return self.at


def cookies_of(response: Response) -> dict[str, str]:
    pairs = (header.partition(";")[0].partition("=") for header in response.headers.getlist("set-cookie"))
    return {name: value for name, _, value in pairs}


def make(clock: Clock, *, secure: bool = True, key: bytes = SESSION_KEY) -> Sessions:
    return Sessions(key, secure=secure, clock=clock)


def started(sessions: Sessions, citizen: Citizen = CITIZEN, *, id_token: str = ID_TOKEN) -> Response:
    response = Response()
    sessions.start(response, citizen, name="Camille Martin", id_token=id_token)
    return response


def test_a_session_comes_back_as_it_was_sealed():
    sessions = make(Clock())
    session = sessions.current(cookies_of(started(sessions)))
    assert session is not None
    assert session.citizen == CITIZEN
    assert (session.name, session.id_token) == ("Camille Martin", ID_TOKEN)


def test_the_cookie_has_every_attribute_that_keeps_it_here():
    header = started(make(Clock())).headers["set-cookie"]
    assert header.startswith("__Host-accord-session=")
    for attribute in ("; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/", "; Max-Age=1800"):
        assert attribute.lower() in header.lower()
    assert "domain" not in header.lower()


def test_on_a_loopback_issuer_the_cookie_does_without_tls():
    header = started(make(Clock(), secure=False)).headers["set-cookie"]
    assert header.startswith("accord-session=")
    assert "secure" not in header.lower()


def test_the_cookie_shows_nothing_of_the_citizen():
    value = next(iter(cookies_of(started(make(Clock()))).values()))
    assert all(word not in value for word in ("Camille", CITIZEN.pseudonym, CITIZEN.identity))


def test_every_login_has_its_own_session_id():
    sessions = make(Clock())
    found = {sessions.current(cookies_of(started(sessions))).sid for _ in range(5)}
    assert len(found) == 5


def test_a_session_ends_after_thirty_minutes():
    clock = Clock()
    sessions = make(clock)
    cookies = cookies_of(started(sessions))
    clock.at += SESSION_LIFETIME - 1
    assert sessions.current(cookies) is not None
    clock.at += 1
    assert sessions.current(cookies) is None


def test_a_login_transaction_does_not_open_as_a_session():
    sessions = make(Clock())
    response = Response()
    sessions.start_login(response, Login("state", "nonce", "/mes-acces"))
    sealed = cookies_of(response)[sessions.login_cookie]
    assert sessions.login({sessions.login_cookie: sealed}) == Login("state", "nonce", "/mes-acces")
    assert sessions.current({sessions.session_cookie: sealed}) is None


def test_a_login_transaction_ends_too():
    clock = Clock()
    sessions = make(clock)
    response = Response()
    sessions.start_login(response, Login("state", "nonce", "/"))
    clock.at += LOGIN_LIFETIME
    assert sessions.login(cookies_of(response)) is None


def test_a_session_of_another_deployment_does_not_open():
    clock = Clock()
    cookies = cookies_of(started(make(clock, key=bytes(32))))
    assert make(clock).current(cookies) is None


@given(place=st.integers(min_value=0), letter=st.sampled_from("AZaz09-_.="))
def test_a_changed_cookie_opens_nothing(place, letter):
    sessions = make(Clock())
    value = cookies_of(started(sessions))[sessions.session_cookie]
    place %= len(value)
    changed = value[:place] + letter + value[place + 1 :]
    session = sessions.current({sessions.session_cookie: changed})
    # The last character of a base64url text may carry bits that mean nothing.
    assert changed == value or session is None or session.citizen == CITIZEN


@given(st.text(max_size=300))
def test_any_text_in_place_of_a_cookie_is_nobody(text):
    sessions = make(Clock())
    assert sessions.current({sessions.session_cookie: text}) is None


def test_an_id_token_too_long_for_a_cookie_is_left_out():
    sessions = make(Clock())
    cookies = cookies_of(started(sessions, id_token="x" * 4000))
    assert len(cookies[sessions.session_cookie]) <= COOKIE_LIMIT
    assert sessions.current(cookies).id_token is None


def test_a_form_token_holds_for_its_session_and_action_alone():
    guard = FormGuard(SESSION_KEY)
    mine, yours = (Session(sid, CITIZEN, "name", None) for sid in ("a", "b"))
    token = guard.token(mine, "withdraw g1")
    assert guard.allows(mine, "withdraw g1", token)
    assert not guard.allows(mine, "withdraw g2", token)
    assert not guard.allows(yours, "withdraw g1", token)
    assert not guard.allows(mine, "withdraw g1", "é")
    assert not FormGuard(bytes(32)).allows(mine, "withdraw g1", token)


def test_sealed_content_must_not_be_longer_than_what_is_opened():
    seal = Seal(SESSION_KEY, "ticket", clock=Clock())
    assert seal.open(seal.seal({"a": "x" * 9000}, lifetime=60)) is None


@pytest.mark.parametrize("value", [Session("s", CITIZEN, "Camille", None), Login("s", "n", "/"), CITIZEN])
def test_neither_session_nor_login_shows_in_a_log(value):
    assert repr(value) == f"{type(value).__name__}(...)"
