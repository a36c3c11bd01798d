"""API Particulier's paths that ask by a number or an account: anybody could send one, and each ground says who did."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.identity import pseudonym
from exchange.grounds import identifier_of
from sandbox.api_particulier import identity_of
from sandbox.records import ine_of, login_of
from sandbox.world import TOWN_SIRET
from tests.journeys.dropin import IDENTIFIED, OTHER_TOWN, Town, raw, town
from tests.state_contract import check_against

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

HERS, ANOTHERS = "civility__200-giraud-anne-3_enfants", "civility__200-QF-150-CNAF"
JOBS, STUDENT = "/v3/france_travail/statut/identifiant", "/v3/mesri/statut_etudiant/ine"
GRANT = "/v4/cnous/etudiant_boursier/ine"
OF = {"identifiant": login_of, "ine": ine_of}


@pytest.fixture(scope="module")
def here(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("identifiers"), reference) as running:
        yield running


@pytest.fixture(autouse=True)
def _unhurried() -> None:
    """Twenty requests a second is the State's limit, and ours."""
    time.sleep(0.06)


def number(here: Town, path: str, name: str = HERS) -> str:
    """What the person of a family file is known by at a path."""
    return OF[str(IDENTIFIED[path][1])](here.families[name].params)


def asking(here: Town, path: str, name: str = HERS, **changed: str) -> dict[str, str]:
    return {"recipient": TOWN_SIRET, str(IDENTIFIED[path][1]): number(here, path, name), **changed}


def consent(here: Town, path: str, name: str = HERS, **detail: object) -> str:
    """Her authorisation for the path's dataset."""
    manifest = IDENTIFIED[path][0]
    told = {"type": f"urn:accord:{manifest.dataset}", "datatypes": sorted(manifest.fields), "purpose": "tarification"}
    return here.consent_token(name, **{**told, **detail})


def refused(here: Town, answer: httpx.Response, status: int, code: str, outcome: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["code"] == code, answer.text
    assert here.entries()[-1]["outcome"] == outcome


def test_the_paths_that_ask_by_a_number_are_those_that_manifests_say(here: Town) -> None:
    assert IDENTIFIED.keys() == {JOBS, STUDENT, GRANT}
    scopes = here.get("/api/introspect", here.tokens["noethys"]).json()["scopes"]
    assert "pole_emploi_inscription" in scopes
    pings = {one["url"] for one in here.get("/api/pings", None).json()}
    assert f"{here.deployment.url}/api/demandeur_emploi/ping" in pings
    assert len(pings) == len(here.get("/api/pings", None).json())


@pytest.mark.parametrize("path", [JOBS, STUDENT, GRANT])
def test_an_application_asks_by_the_number_and_is_answered_as_the_contract_says(
    here: Town, reference: Path, path: str
) -> None:
    contract = reference / "api-particulier" / "openapi.yaml"
    answer = here.get(path, here.tokens["noethys"], asking(here, path))
    assert answer.status_code == 200, answer.text
    check_against(contract, path, 200, answer.json())
    identity = answer.json()["data"]["identite"]
    assert "GIRAUD" in {identity.get("nom"), identity.get("nom_naissance")}
    entry, (sealed,) = here.entries()[-1], here.details(1)
    assert (entry["dataset"], entry["rests_on"], entry["outcome"]) == (IDENTIFIED[path][0].dataset, "application", "ok")
    name = str(IDENTIFIED[path][1])
    key = here.deployment.keyring().pseudonym
    assert sealed["identifier"] == identifier_of(name, number(here, path).upper(), key)
    assert "citizen" not in sealed
    unknown = here.get(path, here.tokens["noethys"], asking(here, path, **{name: "0" * 11}))
    assert unknown.status_code == 404
    # The State's file announces no 404 for this one.
    check_against(contract, path.replace(GRANT, GRANT.replace("v4", "v3")), 404, unknown.json())


@pytest.mark.parametrize("path", [JOBS, STUDENT, GRANT])
def test_her_authorisation_opens_what_is_hers_and_nothing_by_another_number(here: Town, path: str) -> None:
    answer = here.get(path, consent(here, path), asking(here, path))
    assert answer.status_code == 200, answer.text
    entry, (sealed,) = here.entries()[-1], here.details(1)
    assert (entry["client"], entry["outcome"]) == ("portail-famille", "ok")
    assert "rests_on" not in entry
    assert sealed["citizen"].startswith("pseudonym-")
    another = here.get(path, consent(here, path), asking(here, path, ANOTHERS))
    refused(here, another, 422, "00355", "citizen_not_identified")
    assert "MARTIN" not in another.text
    beside = here.get(
        path, here.tokens["portail-famille"], asking(here, path), x_accord_consent_token=consent(here, path)
    )
    assert beside.json() == answer.json()


def test_what_an_authorisation_allows_holds_at_these_paths_too(here: Town) -> None:
    once = consent(here, JOBS, access="once")
    assert here.get(JOBS, once, asking(here, JOBS)).status_code == 200
    refused(here, here.get(JOBS, once, asking(here, JOBS)), 403, "00100", "grant_used_up")
    elsewhere = here.get(JOBS, consent(here, JOBS), asking(here, JOBS, recipient=OTHER_TOWN))
    refused(here, elsewhere, 403, "00100", "delegation_missing")
    of_another_dataset = here.get(STUDENT, consent(here, JOBS), asking(here, STUDENT))
    refused(here, of_another_dataset, 403, "00100", "dataset_not_consented")
    narrow = here.get(JOBS, consent(here, JOBS, datatypes=["inscription.date_debut"]), asking(here, JOBS))
    assert narrow.json()["data"].keys() == {"inscription"}
    assert narrow.json()["data"]["inscription"].keys() == {"date_debut"}


def test_an_agent_says_why_she_asks_by_a_number(here: Town) -> None:
    said: dict[str, Any] = {"x_agent_id": "agent-7", "x_agent_reason": "dossier-12"}
    assert here.get(STUDENT, here.tokens["guichet"], asking(here, STUDENT), **said).status_code == 200
    (sealed,) = here.details(1)
    assert sealed.keys() >= {"agent", "reason", "identifier"}
    refused(here, here.get(STUDENT, here.tokens["guichet"], asking(here, STUDENT)), 403, "00100", "ground_missing")


def test_one_student_is_found_by_one_hash_whichever_holder_was_asked(here: Town) -> None:
    for path in (STUDENT, GRANT):
        assert here.get(path, here.tokens["noethys"], asking(here, path)).status_code == 200
    first, second = here.details(2)
    assert first["identifier"] == second["identifier"]
    hers = pseudonym(identity_of(here.families[HERS]), here.deployment.keyring().pseudonym)
    assert hers not in json.dumps([first, second])


def test_each_bad_number_is_named_with_the_states_code(here: Town) -> None:
    for path, value, code in (
        (JOBS, "", "00380"),
        (JOBS, "a\nb", "00380"),
        (JOBS, "x" * 101, "00380"),
        (STUDENT, "", "00360"),
        (STUDENT, "123", "00360"),
        (STUDENT, "0123456789é", "00360"),
    ):
        name = str(IDENTIFIED[path][1])
        answer = here.get(path, here.tokens["noethys"], asking(here, path, **{name: value}))
        refused(here, answer, 422, code, "parameters_refused")
        assert answer.json()["errors"][0]["source"] == {"parameter": name}
    other = here.get(JOBS, here.tokens["noethys"], asking(here, JOBS, ine="0123456789A"))
    refused(here, other, 422, "00360", "parameters_refused")
    nobody = here.get(JOBS, here.tokens["noethys"], asking(here, JOBS, recipient=""))
    refused(here, nobody, 422, "00203", "parameters_refused")


def test_who_may_not_ask_by_a_name_may_not_by_a_number(here: Town) -> None:
    for path in IDENTIFIED:
        refused(here, here.get(path, None, asking(here, path)), 401, "00101", "application_token_missing")
        refused(here, here.get(path, here.tokens["masque"], asking(here, path)), 403, "00100", "habilitation_missing")
    citizens = here.franceconnect_token("france_connect__france_connect_200_cnaf_2_parents_0_enfant")
    refused(here, here.get(STUDENT, citizens, asking(here, STUDENT)), 401, "00101", "application_token_unknown")


HOSTILE = (
    b"%00",
    b"%FF%FE",
    b"%ED%A0%80",
    b"..",
    b"..%2F..%2Fadmin",
    b"%0d%0aX:%20y",
    b"A" * 7_000,
    b"%E2%80%AE",
    b"a&ine=b",
)


def test_hostile_bytes_in_a_numbers_place_are_refused_or_a_number_that_nobody_has(here: Town) -> None:
    for path, (_, name) in IDENTIFIED.items():
        for value in HOSTILE:
            asked = b"%s?recipient=%s&%s=%s" % (path.encode(), TOWN_SIRET.encode(), str(name).encode(), value)
            head = b"Host: accord\r\nAuthorization: Bearer " + here.tokens["noethys"].encode() + b"\r\n\r\n"
            status, _, body = raw(here.deployment.url, b"GET " + asked + b" HTTP/1.1\r\n" + head)
            assert status in (404, 422), (status, path, value, body)
            time.sleep(0.05)
    assert '"defect"' not in (here.deployment.world.folder / "accord.log").read_text(errors="replace")


def test_no_number_is_in_the_log_or_the_logs_and_the_log_is_whole(here: Town) -> None:
    numbers = {number(here, path, name) for path in IDENTIFIED for name in (HERS, ANOTHERS)}
    assert len(numbers) == 4
    for path in IDENTIFIED:
        here.get(path, here.tokens["noethys"], asking(here, path))
    written = "\n".join(here.deployment.entries()) + json.dumps(here.details(500))
    written += (here.deployment.world.folder / "accord.log").read_text(errors="replace")
    assert [one for one in numbers if one in written or one.upper() in written] == []
    assert here.deployment.verify().ok
