"""What becomes of a grant, besides being given and withdrawn: suspended, resumed, run out; and its record."""

import json
from typing import Any

import pytest

from consent.records import SCHEMA_VERSION, KeptNotice
from consent.status import SUSPENDED, VALID, WITHDRAWN
from openapi.problem import AccordError
from tests.consent.world import CITIZEN, FIELDS, NOTICE, NOW, World, detail

DAY = 86_400
LANGUAGES = ("fr", "en")


def _given(world: World) -> str:
    world.agree()
    return world.desk.grants_of(CITIZEN.pseudonym)[0].grant_id


def _standing(world: World, grant_id: str) -> tuple[str, list[int]]:
    grant = world.store.grant(grant_id)
    assert grant is not None
    changes = [status for _, index, status in world.store.changes_since(0) if index == grant.status_index]
    return grant.status, changes


def test_a_grant_is_suspended_and_resumed_and_each_change_is_an_entry(world: World) -> None:
    grant_id = _given(world)
    world.desk.suspend(grant_id)
    world.desk.suspend(grant_id)
    assert _standing(world, grant_id) == ("suspended", [SUSPENDED])
    world.desk.resume(grant_id)
    assert _standing(world, grant_id) == ("active", [SUSPENDED, VALID])
    assert world.journal.kinds == ["grant.given", "grant.suspended", "grant.resumed"]


def test_no_token_is_made_while_a_grant_is_suspended(world: World) -> None:
    code = world.agree()
    grant_id = world.desk.grants_of(CITIZEN.pseudonym)[0].grant_id
    world.desk.suspend(grant_id)
    assert world.redeem(code).json()["error"] == "invalid_grant"


def test_a_suspended_grant_can_be_withdrawn_and_nothing_leaves_that(world: World) -> None:
    grant_id = _given(world)
    world.desk.suspend(grant_id)
    world.desk.withdraw(grant_id, CITIZEN.pseudonym)
    world.desk.resume(grant_id)
    world.desk.suspend(grant_id)
    world.later(400 * DAY)
    assert world.desk.expire() == 0
    assert _standing(world, grant_id) == ("withdrawn", [SUSPENDED, WITHDRAWN])
    assert world.journal.kinds == ["grant.given", "grant.suspended", "grant.withdrawn"]


def test_a_grant_whose_end_has_passed_is_recorded_once(world: World) -> None:
    grant_id = _given(world)
    assert world.desk.expire() == 0
    world.later(90 * DAY)
    assert world.desk.expire() == 1
    assert world.desk.expire() == 0
    assert _standing(world, grant_id) == ("expired", [WITHDRAWN])
    assert world.journal.kinds == ["grant.given", "grant.expired"]


def test_nothing_is_stored_of_a_change_that_cannot_be_recorded(world: World) -> None:
    grant_id = _given(world)
    world.journal.broken = True
    with pytest.raises(AccordError, match="log_unavailable"):
        world.desk.suspend(grant_id)
    assert _standing(world, grant_id) == ("active", [])


def test_an_unknown_grant_is_not_found(world: World) -> None:
    for act in (world.desk.suspend, world.desk.resume):
        with pytest.raises(AccordError, match="not_found"):
            act("nobody")


def test_renewal_is_due_at_four_fifths_of_a_grants_life(world: World) -> None:
    _given(world)
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    assert grant.renewal_due_at == NOW + 72 * DAY


def _record(world: World) -> dict[str, Any]:
    world.desk.keep_notice(KeptNotice(NOTICE, "fr", "Accord notice 1 fr\nLa commune demande..."))
    return json.loads(json.dumps(world.desk.record(_given(world), CITIZEN.pseudonym)))


def test_the_record_says_what_the_specification_asks(world: World) -> None:
    record = _record(world)
    assert record["@type"] == "dpv:ConsentRecord"
    assert record["dct:conformsTo"] == SCHEMA_VERSION
    assert record["dpv:hasNotice"]["accord:sha256"] == NOTICE
    assert record["dpv:hasNotice"]["dct:description"].startswith("Accord notice")
    assert record["dpv:hasDataController"]["dpv:hasName"] == "Commune de Valombre"
    (process,) = record["dpv:hasProcess"]
    assert [one["@id"] for one in process["dpv:hasPersonalData"]] == [
        f"accord:quotient_familial:{name}" for name in FIELDS[:2]
    ]
    assert process["dpv:hasPurpose"]["@id"] == "accord:purpose:tarification_creche"
    assert process["dpv:hasLegalBasis"]
    assert process["dpv:hasStorageCondition"]["dpv:hasDuration"]["@value"] == "P90D"
    (given,) = record["dpv:hasConsentStatus"]
    assert (given["@type"], given["dpv:isIndicatedBy"]["@id"]) == ("dpv:ConsentGiven", "dpv:DataSubject")
    assert given["dpv:isIndicatedAtTime"]["@value"] == "2027-01-15T08:00:00Z"


def test_the_record_names_no_one(world: World) -> None:
    text = json.dumps(_record(world))
    assert CITIZEN.identity not in text
    assert CITIZEN.pseudonym not in text


def test_the_record_goes_on_with_what_became_of_the_grant(world: World) -> None:
    grant_id = _given(world)
    world.later(5)
    world.desk.withdraw(grant_id, CITIZEN.pseudonym)
    record = world.desk.record(grant_id, CITIZEN.pseudonym)
    assert [event["@type"] for event in record["dpv:hasConsentStatus"]] == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]


def test_a_record_is_its_citizens_alone(world: World) -> None:
    with pytest.raises(AccordError, match="not_found"):
        world.desk.record(_given(world), "somebody-else")


def test_a_notice_is_kept_once_under_its_hash(world: World) -> None:
    first, second = (KeptNotice(NOTICE, language, language) for language in LANGUAGES)
    world.desk.keep_notice(first)
    world.desk.keep_notice(second)
    assert world.store.notice(NOTICE) == first
    assert world.store.notice("0" * 64) is None


def test_every_member_of_a_detail_reaches_the_record(world: World) -> None:
    asked = json.dumps([detail(max_per_day=2, access="recurring")])
    world.agree(world.push(authorization_details=asked))
    grant_id = world.desk.grants_of(CITIZEN.pseudonym)[0].grant_id
    (process,) = world.desk.record(grant_id, CITIZEN.pseudonym)["dpv:hasProcess"]
    assert process["accord:max_per_day"] == 2
