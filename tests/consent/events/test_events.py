"""A withdrawal reaches the application: pushed until it is received, and there to be polled."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from consent.events.push import GIVE_UP_AFTER, LONGEST_PAUSE, Pusher
from consent.events.routes import PATH, router
from consent.events.store import CLAIM_SECONDS, Outbox
from consent.events.token import OF_STATUS, RENEWAL_DUE
from consent.routes import authorizer
from consent.store import ConsentStore
from tests.consent.conftest import migrated
from tests.consent.events.receiver import Receiver, receiving
from tests.consent.test_fapi2 import Fapi
from tests.consent.world import CITIZEN, ISSUER, NOW, World
from tests.postgres import postgresql_database

pytestmark = pytest.mark.enable_socket

DAY = 86_400


@pytest.fixture(params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, config: Any, applications: Any, registry_of: Any, tmp_path: Path
) -> Iterator[World]:
    with ExitStack() as life:
        in_file = f"sqlite:///{tmp_path / 'consent.sqlite'}"
        url = in_file if request.param == "sqlite" else life.enter_context(postgresql_database())
        engine = life.enter_context(migrated(url))
        town, other = applications
        yield World(config, ConsentStore(engine), registry_of(applications), replace(town), other)


def _outbox(world: World) -> Outbox:
    return Outbox(world.store._engine)


def _pusher(world: World, told: list[tuple[str, str]] | None = None) -> Pusher:
    tell = (lambda *word: told.append(word)) if told is not None else (lambda *_: None)
    return Pusher(world.config, outbox=_outbox(world), registry=world.registry, clock=world.clock, tell=tell)


def _with_receiver(world: World, receiver: Receiver) -> None:
    world.town.client = replace(world.town.client, events_url=receiver.url)
    world.registry.clients[world.town.client.client_id] = world.town.client


def _withdrawn(world: World) -> str:
    world.agree()
    (grant_id,) = [one.grant_id for one in world.desk.grants_of(CITIZEN.pseudonym) if one.status == "active"]
    world.desk.withdraw(grant_id, CITIZEN.pseudonym)
    return grant_id


def _verified(world: World, token: str) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "secevent+jwt"
    key = jwt.PyJWKSet.from_dict(world.http.get("/oauth/jwks").json())[header["kid"]]
    options = {"verify_iat": False}
    audience = world.town.client.client_id
    return dict(jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=ISSUER, options=options))


def test_a_withdrawal_is_pushed_as_a_signed_token_about_the_grant(world: World) -> None:
    with receiving(202) as receiver:
        _with_receiver(world, receiver)
        grant_id = _withdrawn(world)
        assert _pusher(world).push_due() == 1
        assert _pusher(world).push_due() == 0
    claims = _verified(world, receiver.bodies[0])
    assert receiver.kinds == ["application/secevent+jwt"]
    assert claims["sub_id"] == {"format": "opaque", "id": grant_id}
    assert claims["events"] == {OF_STATUS["withdrawn"]: {"event_timestamp": NOW}}
    assert CITIZEN.pseudonym not in str(claims)


def test_a_receiver_that_fails_is_tried_again_even_after_a_restart(world: World) -> None:
    with receiving(500, 302, 202) as receiver:
        _with_receiver(world, receiver)
        _withdrawn(world)
        for _ in range(3):
            _pusher(world).push_due()
            world.later(LONGEST_PAUSE)
        assert _pusher(world).push_due() == 0
    assert len(receiver.bodies) == 3
    assert len({_verified(world, body)["jti"] for body in receiver.bodies}) == 1


def test_the_pauses_grow_and_a_receiver_that_is_gone_is_given_up_after_a_week(world: World) -> None:
    told: list[tuple[str, str]] = []
    world.town.client = replace(world.town.client, events_url="http://127.0.0.1:9/events")
    world.registry.clients[world.town.client.client_id] = world.town.client
    _withdrawn(world)
    tries = 0
    for _ in range(GIVE_UP_AFTER // 3600 + 12):
        tries += _pusher(world, told).push_due()
        world.later(3600)
    assert 25 < tries < 80
    assert told == [("given up", world.town.client.client_id)]
    assert len(_outbox(world).waiting(world.town.client.client_id, limit=10)) == 1


def test_a_refusal_is_told_to_the_operator_and_left_to_be_polled(world: World) -> None:
    told: list[tuple[str, str]] = []
    with receiving(400) as receiver:
        _with_receiver(world, receiver)
        _withdrawn(world)
        _pusher(world, told).push_due()
        world.later(LONGEST_PAUSE * 2)
        assert _pusher(world, told).push_due() == 0
    assert told == [("refused", world.town.client.client_id)]
    assert len(_outbox(world).waiting(world.town.client.client_id, limit=10)) == 1


def test_two_pushers_at_once_push_each_event_once(world: World) -> None:
    with receiving(202) as receiver:
        _with_receiver(world, receiver)
        for _ in range(12):
            _withdrawn(world)
        threads = [threading.Thread(target=_pusher(world).push_due) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    jtis = [_verified(world, body)["jti"] for body in receiver.bodies]
    assert len(jtis) == len(set(jtis)) == 12


def test_what_a_process_took_and_did_not_finish_is_due_again(world: World) -> None:
    with receiving(202) as receiver:
        _with_receiver(world, receiver)
        _withdrawn(world)
        assert len(_outbox(world).claim(now=world.clock.now, limit=5)) == 1
        assert _pusher(world).push_due() == 0
        world.later(CLAIM_SECONDS)
        assert _pusher(world).push_due() == 1


def test_the_thread_pushes_by_itself_and_stops(world: World) -> None:
    with receiving(202) as receiver:
        _with_receiver(world, receiver)
        _withdrawn(world)
        config, outbox = world.config, _outbox(world)
        pusher = Pusher(
            config, outbox=outbox, registry=world.registry, clock=world.clock, tell=lambda *_: None, interval=0.02
        )
        pusher.start()
        for _ in range(200):
            if receiver.bodies:
                break
            threading.Event().wait(0.02)
        pusher.close()
    assert len(receiver.bodies) == 1


# Polling


@pytest.fixture
def fapi(world: World) -> Fapi:
    authorize = authorizer(world.config, world.desk)
    world.app.include_router(router(world.config, authorize=authorize, outbox=_outbox(world), clock=world.clock))
    return Fapi(world)


def _poll(fapi: Fapi, token: str, **body: Any) -> Any:
    headers = {"Authorization": f"DPoP {token}", "DPoP": fapi.proof(PATH, token=token)}
    return fapi.world.http.post(PATH, json=body, headers=headers)


def test_an_application_polls_and_acknowledges_its_own_events(fapi: Fapi) -> None:
    first, second = _withdrawn(fapi.world), _withdrawn(fapi.world)
    token = fapi.own_token("events_poll")
    answer = _poll(fapi, token, maxEvents=1).json()
    assert answer["moreAvailable"] is True
    (jti,) = answer["sets"]
    rest = _poll(fapi, token, ack=[jti]).json()
    assert rest["moreAvailable"] is False
    told = [_verified(fapi.world, one)["sub_id"]["id"] for one in (*answer["sets"].values(), *rest["sets"].values())]
    assert sorted(told) == sorted([first, second])
    assert _poll(fapi, token, setErrs={one: {"err": "jwtAud"} for one in rest["sets"]}).json()["sets"] == {}


def test_nobody_polls_or_acknowledges_anothers_events(fapi: Fapi) -> None:
    _withdrawn(fapi.world)
    mine = fapi.own_token("events_poll")
    jtis = list(_poll(fapi, mine).json()["sets"])
    world = fapi.world
    town, world.town = world.town, world.other
    theirs = fapi.own_token("events_poll")
    assert _poll(fapi, theirs, ack=jtis).json()["sets"] == {}
    world.town = town
    assert list(_poll(fapi, mine).json()["sets"]) == jtis


def test_a_poll_that_waits_is_answered_when_something_happens(fapi: Fapi) -> None:
    token = fapi.own_token("events_poll")
    later = threading.Timer(0.7, _withdrawn, [fapi.world])
    later.start()
    answer = _poll(fapi, token, returnImmediately=False)
    later.join()
    assert len(answer.json()["sets"]) == 1


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"ack": "x"}', b'{"maxEvents": -1}'])
def test_a_body_of_another_form_is_refused(fapi: Fapi, body: bytes) -> None:
    token = fapi.own_token("events_poll")
    headers = {"Authorization": f"DPoP {token}", "DPoP": fapi.proof(PATH, token=token)}
    answer = fapi.world.http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_polling_needs_its_own_scope(fapi: Fapi) -> None:
    answer = _poll(fapi, fapi.own_token("grant_management_query"))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


# Renewal


def test_an_application_is_told_once_that_a_grant_nears_its_end(world: World) -> None:
    world.agree()
    assert world.desk.remind() == 0
    world.later(72 * DAY + 1)
    assert world.desk.remind() == 1
    assert world.desk.remind() == 0
    (told,) = _outbox(world).waiting(world.town.client.client_id, limit=10)
    assert told.event == RENEWAL_DUE
