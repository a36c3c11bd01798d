import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from consent.authorization.authorize import PendingAuthorization
from consent.errors import OAuthError
from consent.model import Citizen
from consent.ports import Refusal
from consent.status import WITHDRAWN
from openapi.problem import AccordError
from tests.consent.world import CALLBACK, CITIZEN, FIELDS, ISSUER, NOTICE, NOW, World, detail

DAY = 86_400
OTHER_CITIZEN = Citizen(pseudonym="somebody-else", identity="sealed", acr="eidas1")


def pending(world: World, **members: object) -> PendingAuthorization:
    request_uri = world.push(authorization_details=json.dumps([detail(**members)]))
    return world.desk.pending("portail-famille", request_uri)


def agree(world: World, asked: PendingAuthorization, *, until: int, fields: tuple[str, ...] = FIELDS[:2]) -> str:
    return world.desk.agree(asked, CITIZEN, fields=(fields,), expires_at=until, notice_sha256=NOTICE)


def test_agreeing_records_then_stores_and_sends_the_citizen_back(world: World) -> None:
    asked = pending(world)
    back = agree(world, asked, until=NOW + 30 * DAY, fields=FIELDS[:1])
    assert back.startswith(CALLBACK + "?")
    query = parse_qs(urlsplit(back).query)
    assert query.keys() == {"code", "state", "iss"}
    assert (query["state"], query["iss"]) == (["state-1"], [ISSUER])
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    assert grant.details == (replace(asked.details[0], fields=FIELDS[:1], expires_at=NOW + 30 * DAY),)
    assert (grant.status, grant.given_at, grant.expires_at) == ("active", NOW, NOW + 30 * DAY)
    assert (grant.identity, grant.notice_sha256, grant.legal_basis) == (CITIZEN.identity, NOTICE, "CRPA L114-8")
    (event,) = world.journal.events
    assert (event.kind, event.grant_id, event.citizen) == ("grant.given", grant.grant_id, CITIZEN.pseudonym)
    assert event.details == grant.details


def test_fields_are_granted_in_the_order_they_were_asked_for(world: World) -> None:
    agree(world, pending(world), until=NOW + DAY, fields=FIELDS[1::-1])
    assert world.desk.grants_of(CITIZEN.pseudonym)[0].details[0].fields == FIELDS[:2]


@pytest.mark.parametrize(
    ("fields", "until"),
    [
        ((FIELDS,), NOW + DAY),
        ((("allocataires.nom_naissance",),), NOW + DAY),
        (((),), NOW + DAY),
        ((), NOW + DAY),
        ((FIELDS[:1], FIELDS[:1]), NOW + DAY),
        ((FIELDS[:1],), NOW + 91 * DAY),
        ((FIELDS[:1],), NOW),
    ],
)
def test_nothing_wider_than_asked_and_nothing_empty_is_granted(
    world: World, fields: tuple[tuple[str, ...], ...], until: int
) -> None:
    asked = pending(world)
    with pytest.raises(AccordError, match="request_malformed"):
        world.desk.agree(asked, CITIZEN, fields=fields, expires_at=until, notice_sha256=NOTICE)
    assert world.journal.events == []
    assert world.desk.grants_of(CITIZEN.pseudonym) == []


def test_no_grant_outlives_its_habilitation(world: World) -> None:
    world.registry.valid_until = NOW + 10 * DAY
    asked = pending(world, expires_at=None)
    assert asked.latest_end == NOW + 10 * DAY
    with pytest.raises(AccordError, match="request_malformed"):
        agree(world, asked, until=NOW + 10 * DAY + 1)


def test_a_dataset_without_fields_is_left_out_of_the_grant(world: World) -> None:
    both = json.dumps([detail(), detail(type="urn:accord:revenu_fiscal")])
    asked = world.desk.pending("portail-famille", world.push(authorization_details=both))
    world.desk.agree(asked, CITIZEN, fields=((), FIELDS[:1]), expires_at=NOW + DAY, notice_sha256=NOTICE)
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    assert [one.dataset for one in grant.details] == ["revenu_fiscal"]


def test_a_decision_that_cannot_be_recorded_is_not_taken_and_may_be_taken_again(world: World) -> None:
    asked = pending(world)
    world.journal.broken = True
    with pytest.raises(AccordError, match="log_unavailable"):
        agree(world, asked, until=NOW + DAY)
    assert world.desk.grants_of(CITIZEN.pseudonym) == []
    world.journal.broken = False
    agree(world, world.desk.pending("portail-famille", asked.request_uri), until=NOW + DAY)
    assert world.journal.kinds == ["grant.given"]


def test_a_form_sent_twice_decides_once(world: World) -> None:
    asked = pending(world)
    agree(world, asked, until=NOW + DAY)
    with pytest.raises(OAuthError, match="already decided"):
        agree(world, asked, until=NOW + DAY)
    with pytest.raises(OAuthError, match="already decided"):
        world.desk.refuse(asked, CITIZEN)
    with pytest.raises(OAuthError, match="decided"):
        world.desk.pending("portail-famille", asked.request_uri)
    assert world.journal.kinds == ["grant.given"]


def test_refusing_is_recorded_and_stores_nothing(world: World) -> None:
    asked = pending(world)
    query = parse_qs(urlsplit(world.desk.refuse(asked, CITIZEN)).query)
    assert query == {"error": ["access_denied"], "state": ["state-1"], "iss": [ISSUER]}
    assert world.journal.kinds == ["grant.refused"]
    assert world.desk.grants_of(CITIZEN.pseudonym) == []


def test_the_way_back_keeps_the_query_of_the_redirect_uri(world: World) -> None:
    request_uri = world.push(redirect_uri=CALLBACK + "?depuis=creche", state=None)
    back = world.desk.refuse(world.desk.pending("portail-famille", request_uri), CITIZEN)
    assert parse_qs(urlsplit(back).query) == {"depuis": ["creche"], "error": ["access_denied"], "iss": [ISSUER]}


def test_a_request_must_be_shown_in_time_and_then_leaves_time_to_decide(world: World) -> None:
    late, seen = world.push(), world.push()
    world.later(89)
    shown = world.desk.pending("portail-famille", seen)
    world.later(1)
    with pytest.raises(OAuthError, match="expired"):
        world.desk.pending("portail-famille", late)
    world.later(1000)
    assert world.desk.pending("portail-famille", seen) == shown
    world.later(1000)
    with pytest.raises(OAuthError, match="expired"):
        world.desk.pending("portail-famille", seen)
    with pytest.raises(OAuthError, match="expired"):
        agree(world, shown, until=NOW + DAY)


@pytest.mark.parametrize("client_id", ["autre-portail", "unknown", ""])
def test_another_applications_request_is_not_shown(world: World, client_id: str) -> None:
    request_uri = world.push()
    with pytest.raises(OAuthError, match="another application"):
        world.desk.pending(client_id, request_uri)


@pytest.mark.parametrize("request_uri", ["", "urn:ietf:params:oauth:request_uri:guess", "x" * 10_000, "\ud800"])
def test_an_unknown_request_is_not_shown(world: World, request_uri: str) -> None:
    with pytest.raises(OAuthError, match="unknown"):
        world.desk.pending("portail-famille", request_uri)


def test_a_habilitation_that_ended_meanwhile_is_noticed(world: World) -> None:
    request_uri = world.push()
    world.registry.refusal = Refusal("habilitation_expired", {})
    with pytest.raises(OAuthError, match="habilitation_expired"):
        world.desk.pending("portail-famille", request_uri)


def test_withdrawing_is_recorded_stored_and_told_to_the_gateways(world: World) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    world.later(60)
    ended = world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    assert ended == replace(grant, status="withdrawn", ended_at=NOW + 60)
    assert world.desk.grants_of(CITIZEN.pseudonym) == [ended]
    assert world.journal.kinds == ["grant.given", "grant.withdrawn"]
    assert world.journal.events[1].grant_id == grant.grant_id
    assert world.feed.indexes == [grant.status_index]
    assert world.store.changes_since(0) == [(1, grant.status_index, WITHDRAWN)]


def test_withdrawing_again_changes_nothing(world: World) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    first = world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    world.later(60)
    assert world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym) == first
    assert world.journal.kinds == ["grant.given", "grant.withdrawn"]


def test_nobody_withdraws_anothers_grant(world: World) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    for grant_id, citizen in ((grant.grant_id, OTHER_CITIZEN.pseudonym), ("unknown", CITIZEN.pseudonym)):
        with pytest.raises(AccordError, match="not_found"):
            world.desk.withdraw(grant_id, citizen)
    assert world.desk.grants_of(CITIZEN.pseudonym) == [grant]
    assert world.desk.grants_of(OTHER_CITIZEN.pseudonym) == []


def test_a_withdrawal_that_cannot_be_recorded_is_not_shown_as_done(world: World) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    world.journal.broken = True
    with pytest.raises(AccordError, match="log_unavailable"):
        world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    assert world.desk.grants_of(CITIZEN.pseudonym) == [grant]
    assert world.feed.indexes == []
