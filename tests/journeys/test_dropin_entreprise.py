"""API Entreprise's paths on a whole deployment: the State's fixtures, its OpenAPI file, its errors, and the entries."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.responses import JSONResponse
from joserfc.jwk import ECKey

from exchange.dropin.api_entreprise import LIMIT
from sandbox.servers import LOG_FILE
from sandbox.world import DATABASE_FILE, TOWN_SIRET
from tests.conftest import REPOSITORY
from tests.journeys.companies import EDITOR_SIRET, OTHER_TOWN_SIRET, WHY, CompanyWorld, asking_about_companies
from tests.journeys.dropin import proof_of
from tests.state_companies import CROIX_ROUGE, NOBODY
from tests.state_contract import check_against, headers_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(300)]

PATHS = {
    "api_entreprise_v3_insee_etablissements": "/v3/insee/sirene/etablissements/{siret}",
    "api_entreprise_v4_acoss_attestations_sociales": "/v4/urssaf/unites_legales/{siren}/attestation_vigilance",
    "api_entreprise_v4_dgfip_attestations_fiscales": "/v4/dgfip/unites_legales/{siren}/attestation_fiscale",
}
ESTABLISHMENT = "/v3/insee/sirene/etablissements/{siret}"
DOCUMENT = REPOSITORY / "docs" / "drop-in-entreprise.md"
NO_COMPANY = {
    "api_entreprise_v4_acoss_attestations_sociales/attestation_delivree",
    "api_entreprise_v4_dgfip_attestations_fiscales/attestation_delivree",
}
"""Deviation: 000000001 has no valid key, and is refused as the State's platform refuses it outside of its fixtures."""
OTHER_WORDS = {"api_entreprise_v4_acoss_attestations_sociales/entite_hors_perimetre"}
"""Deviation: a holder's words are not passed on; the code, the title and the provider are the same."""


@pytest.fixture(scope="module")
def world(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyWorld]:
    settings = {"ACCORD_HOLDERS__API_ENTREPRISE__TIMEOUT": "1", "ACCORD_HOLDERS__API_ENTREPRISE__ALLOWANCE": "100"}
    with asking_about_companies(tmp_path_factory.mktemp("entreprise"), reference, settings=settings) as running:
        yield running
        verdict = running.deployment.verify()
    assert verdict.ok, verdict.findings


@pytest.fixture
def contract(reference: Path) -> Path:
    return reference / "api-entreprise" / "openapi.yaml"


def _fixtures(reference: Path) -> Iterator[tuple[str, str, int, dict[str, Any], str]]:
    """Name, form of the path, status, body and path of each."""
    for folder, form in PATHS.items():
        for file in sorted((reference / "api-entreprise" / "fixtures" / folder).glob("*.yaml")):
            read = yaml.safe_load(file.read_text())
            path = form.format(**read["params"])
            yield f"{folder}/{file.stem}", form, read["status"], json.loads(read["payload"]), path


def test_every_fixture_gets_its_status_its_body_its_headers_and_one_entry(
    world: CompanyWorld, reference: Path, contract: Path
) -> None:
    seen = 0
    for name, form, status, body, path in _fixtures(reference):
        before = len(world.deployment.entries())
        answer = world.get(path)
        entries = [json.loads(entry) for entry in world.deployment.entries()[before:]]
        assert len(entries) == 1, name
        check_against(contract, form, answer.status_code, answer.json())
        assert headers_of(contract, form, 200) <= {"X-Response-Cached", "X-Cache-Expires-in", *_LIMITS}
        assert all(header in answer.headers for header in headers_of(contract, form, answer.status_code)), name
        seen += 1
        if name in NO_COMPANY:
            assert (answer.status_code, _codes(answer)) == (422, ["00301"]), name
            assert (entries[0]["kind"], entries[0]["outcome"]) == ("refusal", "parameters_refused")
            continue
        assert answer.status_code == status, name
        assert (entries[0]["kind"], entries[0]["rests_on"]) == ("access" if status == 200 else "failure", "company")
        if name in OTHER_WORDS:
            (said,), (expected,) = answer.json()["errors"], body["errors"]
            assert (said["code"], said["title"]) == (expected["code"], expected["title"])
            assert said["meta"]["provider"] == expected["meta"]["provider"]
            continue
        assert answer.json() == _with_our_links(body, world.deployment.url), name
    assert seen == len(list((reference / "api-entreprise" / "fixtures").glob("*/*.yaml")))


def _with_our_links(body: dict[str, Any], url: str) -> dict[str, Any]:
    """Deviation: a link of the State's that is served here leads here."""
    text = json.dumps(body["links"]).replace("https://entreprise.api.gouv.fr/v3/", f"{url}/v3/")
    return {**body, "links": json.loads(text)}


_LIMITS = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}


def test_each_deviation_is_in_the_documentation_with_its_reason(reference: Path) -> None:
    said = DOCUMENT.read_text(encoding="utf-8")
    for name in NO_COMPANY | OTHER_WORDS:
        assert name.rpartition("/")[2] in said, name
    assert "`links`" in said
    names = {name for name, *_ in _fixtures(reference)}
    assert names >= NO_COMPANY | OTHER_WORDS


def test_version_4_says_both_nomenclatures_and_version_3_the_one_it_knew(world: CompanyWorld, contract: Path) -> None:
    new = world.get(f"/v4/insee/sirene/etablissements/{CROIX_ROUGE}").json()
    old = world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}").json()
    check_against(contract, "/v4/insee/sirene/etablissements/{siret}", 200, new)
    check_against(contract, ESTABLISHMENT, 200, old)
    assert new["data"]["activite_principale"]["nomenclature"] == "NAF2025"
    assert old["data"]["activite_principale"] == new["data"]["activite_principale_naf_rev2"]
    assert "activite_principale_naf_rev2" not in json.dumps(old)
    assert old["links"]["unite_legale"].startswith(f"{world.deployment.url}/v3/")
    assert new["links"]["unite_legale"].startswith(f"{world.deployment.url}/v4/")


def test_a_link_of_an_answer_leads_on_with_the_same_token(world: CompanyWorld, contract: Path) -> None:
    link = world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}").json()["links"]["unite_legale"]
    answer = world.get(link.removeprefix(world.deployment.url))
    assert answer.status_code == 200
    check_against(contract, "/v3/insee/sirene/unites_legales/{siren}", 200, answer.json())
    links = answer.json()["links"]
    assert links["siege_social"] == f"{world.deployment.url}/v3/insee/sirene/etablissements/{CROIX_ROUGE}"
    # No dataset is about addresses alone.
    assert links["siege_social_adresse"].startswith("https://entreprise.api.gouv.fr/")


def test_version_3_of_a_document_is_its_address_and_its_time(world: CompanyWorld, contract: Path) -> None:
    answer = world.get("/v3/dgfip/unites_legales/418166096/attestation_fiscale").json()
    check_against(contract, "/v3/dgfip/unites_legales/{siren}/attestation_fiscale", 200, answer)
    assert answer["data"].keys() == {"document_url", "expires_in"}


def test_a_list_has_an_envelope_for_each_of_its_members(world: CompanyWorld, contract: Path) -> None:
    answer = world.get(f"/v3/dgfip/etablissements/{CROIX_ROUGE}/chiffres_affaires").json()
    check_against(contract, "/v3/dgfip/etablissements/{siret}/chiffres_affaires", 200, answer)
    assert [one["data"]["chiffre_affaires"] for one in answer["data"]] == [900_001, 812_345.5]


def test_the_holder_is_told_for_whom_and_why(world: CompanyWorld) -> None:
    world.companies.asked.clear()
    world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}", object="marché n° 12 & suite")
    assert world.companies.asked == [{"recipient": TOWN_SIRET, **WHY, "object": "marché n° 12 & suite"}]


def test_an_answer_is_vnd_api_json_where_that_is_asked_for(world: CompanyWorld) -> None:
    for accept, expected in (("application/vnd.api+json", "application/vnd.api+json"), ("*/*", "application/json")):
        answer = world.http.get(
            f"{world.deployment.url}/v3/insee/sirene/etablissements/{CROIX_ROUGE}",
            params={"recipient": TOWN_SIRET, **WHY},
            headers={"Authorization": f"Bearer {world.token}", "Accept": accept},
        )
        assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


def test_only_the_fields_of_the_habilitation_leave_and_masked_keys_are_absent(world: CompanyWorld) -> None:
    path = f"insee/sirene/etablissements/{CROIX_ROUGE}"
    company = {"personne_morale_attributs": {"raison_sociale": "CROIX ROUGE FRANCAISE"}}
    old = world.get(f"/v3/{path}", token=world.others, recipient=OTHER_TOWN_SIRET).json()
    assert old["data"] == {
        "siret": CROIX_ROUGE,
        "activite_principale": {"code": "88.99B"},
        "unite_legale": company,
    }
    new = world.get(f"/v4/{path}", token=world.others, recipient=OTHER_TOWN_SIRET).json()
    assert new["data"] == {
        "siret": CROIX_ROUGE,
        "activite_principale_naf_rev2": {"code": "88.99B"},
        "unite_legale": company,
    }


def _codes(answer: httpx.Response) -> list[str]:
    return [one["code"] for one in answer.json()["errors"]]


def test_an_application_bound_to_a_key_proves_it_each_time_and_no_proof_serves_twice(world: CompanyWorld) -> None:
    path = ESTABLISHMENT.format(siret=CROIX_ROUGE)
    url, token = world.deployment.url + path, world.bound

    def ask(proof: str, shown: str = token) -> tuple[int, str]:
        answer = world.get(path, token=shown, proof=proof, recipient=OTHER_TOWN_SIRET)
        assert (answer.status_code == 200) != ("errors" in answer.json())
        assert bool(proof) == ("dpop-nonce" in answer.headers)
        entry = json.loads(world.deployment.entries()[-1])
        return answer.status_code, str(entry["outcome"])

    proof = proof_of(url, token)
    assert ask(proof) == (200, "ok")
    assert ask(proof) == (401, "dpop_proof_replayed")
    assert ask(proof_of(url, token)) == (200, "ok")
    assert ask("") == (401, "dpop_proof_missing")
    assert ask(proof_of(f"{world.deployment.url}/v3/other", token))[0] == 401
    assert ask(proof_of(url, world.others))[0] == 401
    assert ask(proof_of(url, token, key=ECKey.generate_key("P-256"))) == (401, "dpop_key_mismatch")
    assert ask(proof_of(url, world.others), world.others) == (401, "dpop_key_mismatch")


def test_of_many_calls_with_one_proof_one_is_answered(world: CompanyWorld) -> None:
    path = ESTABLISHMENT.format(siret=CROIX_ROUGE)
    proof = proof_of(world.deployment.url + path, world.bound)

    def ask(number: int) -> int:
        why = {"object": f"marché {number}", "recipient": OTHER_TOWN_SIRET}
        return world.get(path, token=world.bound, proof=proof, **why).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(16))) == [200, *[401] * 15]


@pytest.mark.parametrize(
    ("ask", "status", "codes"),
    [
        (lambda world, path: world.get(path, token=""), 401, ["00101"]),
        (lambda world, path: world.get(path, token="accord_unknown"), 401, ["00101"]),
        (lambda world, path: world.get(path, token=world.ended), 401, ["00103"]),
        (lambda world, path: world.get(path, token=world.elsewhere), 403, ["00107"]),
        (lambda world, path: world.get(path, recipient=OTHER_TOWN_SIRET), 403, ["00100"]),
        (lambda world, path: world.get(path, token=world.editors), 403, ["00100"]),
        (lambda world, path: world.get(path, delegation_id="none-of-that-name"), 403, ["00100"]),
        (lambda world, path: world.get(path.replace(CROIX_ROUGE, NOBODY)), 404, ["01003"]),
        (lambda world, path: world.get(path, context=""), 422, ["00201"]),
        (lambda world, path: world.get(path, leave_out="context"), 422, ["00201"]),
        (lambda world, path: world.get(path, leave_out="object"), 422, ["00202"]),
        (lambda world, path: world.get(path, leave_out="recipient"), 422, ["00203"]),
        (lambda world, path: world.get(path, context=" ", object="", recipient=""), 422, ["00201", "00203", "00202"]),
        (lambda world, path: world.get(path, object="x" * 251), 422, ["00202"]),
        (lambda world, path: world.get(path, recipient="12345678901234"), 422, ["00210"]),
        (lambda world, path: world.get(path.replace(CROIX_ROUGE, "123")), 422, ["00302"]),
        (lambda world, path: world.get(path.replace(CROIX_ROUGE, TOWN_SIRET)), 422, ["00211"]),
    ],
)
def test_each_refusal_has_the_states_status_code_and_form(
    world: CompanyWorld,
    contract: Path,
    ask: Callable[[CompanyWorld, str], httpx.Response],
    status: int,
    codes: list[str],
) -> None:
    before, world.companies.asked[:] = len(world.deployment.entries()), []
    answer = ask(world, f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}")
    assert (answer.status_code, _codes(answer)) == (status, codes)
    check_against(contract, ESTABLISHMENT, status, answer.json())
    assert (status == 404) == bool(world.companies.asked)
    assert len(world.deployment.entries()) == before + 1


def test_a_version_that_is_not_served_says_so(world: CompanyWorld) -> None:
    answer = world.get(f"/v5/insee/sirene/etablissements/{CROIX_ROUGE}")
    assert (answer.status_code, _codes(answer)) == (404, ["00402"])
    assert "v5" in answer.json()["errors"][0]["detail"]


def _error(status: int, code: str) -> Callable[[], JSONResponse]:
    error: dict[str, Any] = {"code": code, "title": "t", "detail": "une phrase du fournisseur", "meta": {}}
    body = {"errors": [error]}
    return lambda: JSONResponse(body, status)


def _slowly() -> JSONResponse:
    time.sleep(2)
    return JSONResponse({})


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (_error(451, "01005"), 451, "01005"),
        (_error(502, "01999"), 502, "01999"),
        (lambda: JSONResponse({"data": {"siret": 1}}), 502, "01999"),
        (_slowly, 504, "01002"),
    ],
    ids=["closed by law", "failed", "another form", "too slow"],
)
def test_each_trouble_of_the_provider_has_the_states_status_and_code(
    world: CompanyWorld, contract: Path, trouble: Callable[[], JSONResponse], status: int, code: str
) -> None:
    world.companies.trouble = trouble
    try:
        answer = world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}")
    finally:
        world.companies.trouble = None
    assert (answer.status_code, _codes(answer)) == (status, [code])
    assert "une phrase du fournisseur" not in answer.text
    check_against(contract, ESTABLISHMENT, status, answer.json())
    last = json.loads(world.deployment.entries()[-1])
    assert (last["kind"], last["provider"]) == ("failure", "api_entreprise")


def test_the_same_question_under_way_is_a_conflict(world: CompanyWorld, contract: Path) -> None:
    def asked() -> httpx.Response:
        return world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}", object="deux fois")

    world.companies.trouble = _slowly
    try:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(asked)
            time.sleep(0.4)
            second = asked()
            assert first.result().status_code == 504
    finally:
        world.companies.trouble = None
    assert (second.status_code, _codes(second)) == (409, ["00015"])
    check_against(contract, ESTABLISHMENT, 409, second.json())


def test_an_editor_asks_for_the_town_that_delegated_to_it_and_the_entry_says_both(world: CompanyWorld) -> None:
    path = "/v4/dgfip/unites_legales/418166096/attestation_fiscale"
    for delegation in ({}, {"delegation_id": "valombre-editeur"}):
        answer = world.get(path, token=world.editors, **delegation)
        assert answer.status_code == 200
        last = json.loads(world.deployment.entries()[-1])
        assert (last["recipient"], last["delegate"], last["client"]) == (TOWN_SIRET, EDITOR_SIRET, "editeur")
    for refused in ({"recipient": OTHER_TOWN_SIRET}, {"delegation_id": "another"}):
        assert world.get(path, token=world.editors, **refused).status_code == 403


def test_privileges_are_the_states_scopes_of_what_is_habilitated(world: CompanyWorld) -> None:
    def opened(token: str) -> list[str]:
        answer = world.get("/privileges", token=token)
        assert answer.status_code == 200
        found: list[str] = answer.json()["data"]["privileges"]
        return found

    assert opened(world.others) == ["etablissements", "unites_legales_etablissements_insee"]
    assert opened(world.editors) == ["attestation_fiscale_dgfip", "attestations_fiscales"]
    assert {"attestations_sociales", "chiffre_affaires_dgfip", "open_data"} <= set(opened(world.token))
    refused = world.get("/privileges", token="another")
    assert (refused.status_code, _codes(refused)) == (401, ["00101"])


def test_pings_tell_what_was_seen_of_each_provider_without_asking_it(world: CompanyWorld) -> None:
    listed = world.get("/pings", token="").json()
    assert {"name": "INSEE - Sirene", "url": f"{world.deployment.url}/ping/insee/sirene"} in listed
    for one in listed:
        assert world.get(one["url"].removeprefix(world.deployment.url), token="").status_code in {200, 502}
    world.get(f"/v4/insee/sirene/etablissements/{CROIX_ROUGE}")
    well = world.get("/ping/insee/sirene", token="")
    assert (well.status_code, well.json()["status"]) == (200, "ok")
    world.companies.trouble = _error(502, "01999")
    try:
        world.get(f"/v4/insee/sirene/etablissements/{CROIX_ROUGE}")
        world.companies.asked.clear()
        down = world.get("/ping/insee/sirene", token="")
    finally:
        world.companies.trouble = None
    assert (down.status_code, down.json()["status"]) == (502, "bad_gateway")
    assert down.json()["last_ok_status"] == well.json()["last_ok_status"]
    assert world.companies.asked == []
    unknown = world.get("/ping/qualibat/certifications", token="")
    assert (unknown.status_code, unknown.json()["status"]) == (200, "unknown")
    assert world.get("/ping/nobody/of/that/name", token="").status_code == 404
    assert world.get("/v3/ping", token="").status_code == 200


def test_neither_the_company_nor_the_reason_nor_a_token_is_written_anywhere(world: CompanyWorld) -> None:
    world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}", context="contexte canari", object="objet canari")
    world.get("/v3/insee/sirene/etablissements/47846480300319?x=1", context="contexte canari")
    world.get("/v3/insee/sirene/etablissements/4784648030031x", object="objet canari")
    folder = world.deployment.world.folder
    with sqlite3.connect(folder / DATABASE_FILE, timeout=10) as connection:
        written = "\n".join(connection.iterdump()) + (folder / LOG_FILE).read_text()
    for canary in (CROIX_ROUGE, CROIX_ROUGE[:9], "47846480300319", "canari", "CROIX ROUGE", world.token):
        assert canary not in written, canary


def test_the_company_has_one_pseudonym_under_each_of_its_numbers(world: CompanyWorld) -> None:
    world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}")
    world.get(f"/v3/insee/sirene/unites_legales/{CROIX_ROUGE[:9]}")
    with sqlite3.connect(world.deployment.world.folder / DATABASE_FILE, timeout=10) as connection:
        rows = connection.execute('SELECT detail FROM log_details ORDER BY "index" DESC LIMIT 2').fetchall()
    first, second = (json.loads(row[0])["company"] for row in rows)
    assert first == second


def test_over_its_limit_an_application_is_told_when_to_come_back(world: CompanyWorld, contract: Path) -> None:
    def asked(number: int) -> httpx.Response:
        return world.get("/v3/insee/sirene/etablissements/1", token=world.others, object=str(number))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(asked, range(2 * LIMIT.requests + 8)))
    over = [one for one in answers if one.status_code == 429]
    assert {one.status_code for one in answers} == {422, 429}
    assert over
    for one in over[:5]:
        assert _codes(one) == ["00429"]
        check_against(contract, ESTABLISHMENT, 429, one.json())
        assert 1 <= int(one.headers["retry-after"]) <= LIMIT.seconds
        assert one.headers["ratelimit-remaining"] == "0"
        assert int(one.headers["ratelimit-reset"]) % LIMIT.seconds == 0
    # Another application's limit is its own.
    assert world.get(f"/v3/insee/sirene/etablissements/{CROIX_ROUGE}").status_code == 200
