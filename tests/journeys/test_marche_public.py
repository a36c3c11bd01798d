"""A bid with a SIRET alone: every dataset about the company from real holders' stand-ins, each with its entry."""

import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import httpx
import pytest
import yaml
from jsonschema import Draft4Validator, Draft202012Validator

from providers.manifest import manifests
from sandbox.api_entreprise import load_companies
from sandbox.world import TOWN_SIRET
from tests.conftest import REPOSITORY
from tests.hostile_holder import HostileHolder
from tests.journeys.bids import (
    BUNDLE,
    JOINERY,
    NOBODY,
    PARTNER,
    SOLE_TRADER,
    TOKENS,
    UNDER_REVIEW,
    UNDISCLOSED,
    WHY,
    ask,
    bundle,
    entries_of,
    more_registry,
    problem_of,
    proof_of,
)
from tests.journeys.deployment import Deployment, deployed
from tests.journeys.receipts import check_receipt
from tests.providers.test_api_entreprise import answer_schema, as_json_schema

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    companies = tmp_path_factory.mktemp("companies") / "files"
    copytree(REPOSITORY / "sandbox" / "companies", companies)
    error = {"errors": [{"code": "02001", "title": "Service non disponible"}]}
    file = {"description": "", "params": {"siren": UNDER_REVIEW[:9]}, "status": 504, "payload": json.dumps(error)}
    (companies / "extrait_kbis" / "en-panne.yaml").write_text(yaml.safe_dump(file))
    with deployed(tmp_path_factory.mktemp("bids"), companies=companies, before=more_registry) as running:
        yield running


def test_a_siret_alone_gets_the_whole_file_with_an_entry_for_each_dataset(deployment: Deployment) -> None:
    before = len(deployment.entries())
    answer = bundle(deployment, JOINERY)
    body = answer.json()
    assert (answer.status_code, body["complete"]) == (200, True)
    assert answer.headers["cache-control"] == "no-store"
    assert tuple(body["datasets"]) == BUNDLE.datasets
    published = yaml.safe_load(httpx.get(f"{deployment.url}/openapi.yaml", trust_env=False, timeout=10).text)
    Draft202012Validator(published | {"$ref": "#/components/schemas/Bundle"}).validate(body)
    files = {one.dataset: one for one in deployment.world.sandbox.companies if one.number in (JOINERY, JOINERY[:9])}
    written = [json.loads(entry) for entry in deployment.entries()[before:]]
    assert len(written) == len(BUNDLE.datasets)
    for name, part in body["datasets"].items():
        manifest = manifests()[name]
        data = part["data"] if manifest.items is None else [{"data": one} for one in part["data"][manifest.items]]
        sent = files[name].payload["data"]
        assert data == (sent if manifest.items is None else [{"data": one["data"]} for one in sent])
        (entry,) = entries_of(deployment, part["meta"]["access_id"])
        assert (entry["kind"], entry["dataset"], entry["bundle"]) == ("access", name, BUNDLE.name)
        assert (entry["rests_on"], entry["recipient"], entry["purpose"]) == ("company", TOWN_SIRET, "marche_public")
        assert entry["fields"] == list(manifest.fields)
        check_receipt(deployment, entry=part["meta"]["entry"], receipt=part["meta"]["receipt"])
    verdict = deployment.verify()
    assert verdict.ok, verdict.findings


def test_one_dataset_alone_says_what_the_holder_says_of_it(deployment: Deployment) -> None:
    answer = ask(deployment, "/v1/data/unite_legale", siren=JOINERY[:9], **WHY)
    body = answer.json()
    assert answer.status_code == 200
    assert body["data"]["personne_morale_attributs"]["raison_sociale"] == "MENUISERIE DES TROIS RIVIERES"
    assert body["meta"]["holder"]["meta"]["redirect_from_siren"] is None
    assert body["meta"]["holder"]["links"].keys() == manifests()["unite_legale"].links


def test_only_the_fields_asked_for_leave_and_are_in_the_entry(deployment: Deployment) -> None:
    fields = "siren,forme_juridique.code"
    body = ask(deployment, "/v1/data/unite_legale", siret=JOINERY, fields=fields, **WHY).json()
    assert body["data"].keys() == {"siren", "forme_juridique"}
    assert body["data"]["forme_juridique"].keys() == {"code"}
    (entry,) = entries_of(deployment, body["meta"]["access_id"])
    assert entry["fields"] == fields.split(",")


def test_what_a_company_has_not_is_told_in_its_place_and_the_rest_is_given(deployment: Deployment) -> None:
    body = bundle(deployment, SOLE_TRADER).json()
    assert body["complete"] is False
    refused = body["datasets"]["attestation_vigilance"]["data"]
    assert refused["entity_status"]["code"] == "refus_de_delivrance"
    assert refused["document_url"] is None
    given = {name for name, part in body["datasets"].items() if "data" in part}
    assert given == {"unite_legale", "etablissement", "extrait_rne", "attestation_vigilance"}
    for name, part in body["datasets"].items():
        if name not in given:
            entry = problem_of(deployment, part["problem"], "company_unknown_to_holder")
            assert (entry["dataset"], entry["bundle"], entry["provider"]) == (name, BUNDLE.name, "api_entreprise")


def test_the_law_a_review_and_a_refusal_each_have_their_own_problem(deployment: Deployment) -> None:
    closed = ask(deployment, "/v1/data/etablissement", siret=UNDISCLOSED, **WHY)
    assert closed.status_code == 451
    problem_of(deployment, closed.json(), "company_not_disclosed")
    parts = {
        name: ask(deployment, f"/v1/data/{name}", siret=UNDER_REVIEW, **WHY)
        for name in ("attestation_vigilance", "attestation_fiscale")
    }
    problem_of(deployment, parts["attestation_vigilance"].json(), "document_under_review")
    problem_of(deployment, parts["attestation_fiscale"].json(), "document_not_issued")


def test_a_company_that_nobody_knows_is_a_whole_file_of_problems(deployment: Deployment) -> None:
    answer = bundle(deployment, NOBODY)
    parts = answer.json()["datasets"]
    assert (answer.status_code, answer.json()["complete"], len(parts)) == (200, False, len(BUNDLE.datasets))
    for part in parts.values():
        problem_of(deployment, part["problem"], "company_unknown_to_holder")


@pytest.mark.parametrize("path", [f"/v1/bundles/{BUNDLE.name}", "/v1/data/etablissement", "/v1/data/unite_legale"])
@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"context": ""}, "context"),
        ({"object": " "}, "object"),
        ({"object": "x" * 251}, "object"),
        ({"object": "deux\nlignes"}, "object"),
        ({"siret": ""}, "siret"),
        ({"siret": "00000001800011"}, "siret"),
        ({"recipient": "1"}, "recipient"),
        ({"recipient": JOINERY}, "recipient"),
        ({"delegation_id": ""}, "delegation_id"),
        ({"surplus": "x"}, "query"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    deployment: Deployment, path: str, changed: dict[str, str], field: str
) -> None:
    answer = ask(deployment, path, **({"siret": JOINERY} | WHY | changed))
    if "bundles" in path and changed.get("recipient") == JOINERY:
        parts = [part["problem"] for part in answer.json()["datasets"].values()]
    else:
        assert answer.status_code == 400
        parts = [answer.json()]
    for document in parts:
        problem_of(deployment, document, "request_malformed")
        assert document["field"] == field


def test_a_parameter_left_out_is_named_too(deployment: Deployment) -> None:
    for left_out in ("siret", "context", "object"):
        given = {name: value for name, value in ({"siret": JOINERY} | WHY).items() if name != left_out}
        document = ask(deployment, "/v1/data/etablissement", **given).json()
        problem_of(deployment, document, "request_malformed")
        assert document["field"] == left_out


def test_a_siren_does_not_say_which_establishment(deployment: Deployment) -> None:
    document = ask(deployment, "/v1/data/etablissement", siren=JOINERY[:9], **WHY).json()
    problem_of(deployment, document, "request_malformed")
    assert document["field"] == "siret"


def test_an_unknown_field_or_bundle_is_refused_without_being_repeated(deployment: Deployment) -> None:
    field = ask(deployment, "/v1/data/unite_legale", siret=JOINERY, fields="canari", **WHY)
    problem_of(deployment, field.json(), "field_unknown")
    unknown = ask(deployment, "/v1/bundles/canari", siret=JOINERY, **WHY)
    problem_of(deployment, unknown.json(), "bundle_unknown")
    assert not any("canari" in entry for entry in deployment.entries())


@pytest.mark.parametrize("path", [f"/v1/bundles/{BUNDLE.name}", "/v1/data/attestation_vigilance"])
@pytest.mark.parametrize(
    ("whose", "slug"),
    [
        ("", "application_token_missing"),
        ("accord_inconnu", "application_token_unknown"),
        ("consent", "application_token_unknown"),
        ("expired", "application_token_expired"),
        ("elsewhere", "address_not_allowed"),
        ("bound", "dpop_proof_missing"),
    ],
)
def test_a_token_that_does_not_do_is_refused_before_anything_is_asked(
    deployment: Deployment, path: str, whose: str, slug: str
) -> None:
    token = deployment.token().decode() if whose == "consent" else TOKENS.get(whose, (whose, ""))[0]
    answer = ask(deployment, path, token=token, siret=JOINERY, **WHY)
    entry = problem_of(deployment, answer.json(), slug)
    assert "client" not in entry
    assert answer.status_code in {401, 403}


@pytest.mark.parametrize("path", [f"/v1/bundles/{BUNDLE.name}", "/v1/data/extrait_kbis"])
def test_a_proof_is_spent_once_by_each_dataset(deployment: Deployment, path: str) -> None:
    token = TOKENS["bound"][0]
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof_of(deployment, path, token)}
    url, params = deployment.url + path, {"siret": JOINERY} | WHY
    first, second = (httpx.get(url, params=params, headers=headers, timeout=30, trust_env=False) for _ in range(2))
    assert first.status_code == 200
    assert first.headers["dpop-nonce"]
    if "bundles" not in path:
        problem_of(deployment, second.json(), "dpop_proof_replayed")
        return
    assert first.json()["complete"] is True
    for part in second.json()["datasets"].values():
        problem_of(deployment, part["problem"], "dpop_proof_replayed")


def test_a_proof_sent_five_times_at_once_gives_each_dataset_once(deployment: Deployment) -> None:
    path, token = f"/v1/bundles/{BUNDLE.name}", TOKENS["bound"][0]
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof_of(deployment, path, token)}

    def send(_number: int) -> httpx.Response:
        params = {"siret": JOINERY} | WHY
        return httpx.get(deployment.url + path, params=params, headers=headers, timeout=30, trust_env=False)

    with ThreadPoolExecutor(5) as senders:
        answers = [one.json() for one in senders.map(send, range(5))]
    given = [name for body in answers for name, part in body["datasets"].items() if "data" in part]
    assert sorted(given) == sorted(BUNDLE.datasets)
    refused = [part["problem"] for body in answers for part in body["datasets"].values() if "problem" in part]
    assert {one["type"].rsplit("/", 1)[1] for one in refused} == {"dpop_proof_replayed"}


def test_another_organisation_is_asked_for_under_its_delegation_alone(deployment: Deployment) -> None:
    asked = {"siret": JOINERY, "recipient": PARTNER} | WHY
    answer = ask(deployment, "/v1/data/attestation_vigilance", **asked)
    assert answer.status_code == 200
    # What the recipient is habilitated for, and not what the delegate is.
    assert answer.json()["data"] == {"entity_status": {"code": "ok"}}
    (entry,) = entries_of(deployment, answer.json()["meta"]["access_id"])
    assert (entry["recipient"], entry["delegate"]) == (PARTNER, TOWN_SIRET)
    named = ask(deployment, "/v1/data/attestation_vigilance", delegation_id="partenaire-a-valombre", **asked)
    assert named.status_code == 200
    for path, more in (
        ("/v1/data/unite_legale", {}),
        ("/v1/data/attestation_vigilance", {"delegation_id": "autre"}),
        ("/v1/data/attestation_vigilance", {"recipient": NOBODY}),
    ):
        entry = problem_of(deployment, ask(deployment, path, **(asked | more)).json(), "delegation_missing")
        assert "recipient" not in entry


def test_the_bundle_of_a_delegating_organisation_gives_what_is_delegated_and_says_what_is_not(
    deployment: Deployment,
) -> None:
    body = bundle(deployment, JOINERY, recipient=PARTNER).json()
    assert [name for name, part in body["datasets"].items() if "data" in part] == ["attestation_vigilance"]
    for name, part in body["datasets"].items():
        if name != "attestation_vigilance":
            problem_of(deployment, part["problem"], "delegation_missing")


def test_nobody_can_be_asked_to_agree_to_a_dataset_about_companies(deployment: Deployment) -> None:
    for document in ("oauth-authorization-server", "oauth-protected-resource"):
        found = httpx.get(f"{deployment.url}/.well-known/{document}", trust_env=False, timeout=10).json()
        types = found["authorization_details_types_supported"]
        assert "urn:accord:quotient_familial" in types
        assert not {f"urn:accord:{name}" for name in BUNDLE.datasets} & {*types}


def test_no_method_but_get_is_served(deployment: Deployment) -> None:
    for path in (f"/v1/bundles/{BUNDLE.name}", "/v1/data/unite_legale"):
        answer = httpx.post(f"{deployment.url}{path}", trust_env=False, timeout=10)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_no_company_context_or_object_is_in_the_log_in_clear(deployment: Deployment) -> None:
    bundle(deployment, JOINERY)
    ask(deployment, "/v1/data/unite_legale", siret=JOINERY, **WHY)
    written = "\n".join(deployment.entries()).encode() + (deployment.world.folder / "accord.log").read_bytes()
    for file in deployment.world.folder.glob("accord.sqlite*"):
        written += file.read_bytes()
    for clear in (JOINERY, JOINERY[:9], SOLE_TRADER, NOBODY, "Canari", "MENUISERIE", 'raison_sociale":'):
        assert clear.encode() not in written, clear
    with sqlite3.connect(deployment.world.folder / "accord.sqlite", timeout=10) as connection:
        details = [json.loads(row[0]) for row in connection.execute("SELECT detail FROM log_details")]
    sealed = [one for one in details if "company" in one]
    assert sealed
    assert all({"context", "object"} <= one.keys() for one in sealed)
    assert len({one["company"] for one in sealed}) < len(sealed)


def test_a_holder_that_is_down_for_one_dataset_leaves_the_others(deployment: Deployment) -> None:
    body = bundle(deployment, UNDER_REVIEW).json()
    assert "data" in body["datasets"]["unite_legale"]
    problem = body["datasets"]["extrait_kbis"]["problem"]
    entry = problem_of(deployment, problem, "holder_unreachable")
    assert (entry["kind"], entry["dataset"]) == ("failure", "extrait_kbis")
    assert problem["retry_in"] > 0


def test_a_holder_in_trouble_is_a_problem_of_each_part_within_its_deadline(tmp_path: Path) -> None:
    with HostileHolder() as holder:
        settings = {"ACCORD_HOLDERS__API_ENTREPRISE__URL": holder.url, "ACCORD_HOLDERS__API_ENTREPRISE__TIMEOUT": "1"}
        with deployed(tmp_path, settings=settings) as running:
            for trouble, expected in (("drip", "holder_timeout"), ("garbage", "holder_answer_invalid")):
                holder.behave(trouble)
                began, before = time.monotonic(), len(running.entries())
                answer = bundle(running, JOINERY)
                assert time.monotonic() - began < 5
                body = answer.json()
                assert (answer.status_code, body["complete"]) == (200, False)
                found = [part["problem"]["type"].rsplit("/", 1)[1] for part in body["datasets"].values()]
                assert found == [expected] * len(BUNDLE.datasets)
                assert len(running.entries()) == before + len(BUNDLE.datasets)
            assert running.verify().ok


def test_the_state_s_fixtures_come_through_as_they_are_and_fit_its_contract(reference: Path, tmp_path: Path) -> None:
    folder = reference / "api-entreprise"
    contract = yaml.safe_load((folder / "openapi.yaml").read_text())
    with deployed(tmp_path, companies=folder / "fixtures") as running:
        files = load_companies(folder / "fixtures")
        assert len(files) == 8
        for file in files:
            # The State's sandbox answers to a number without a valid key, which is refused here before it is asked.
            name = "siret" if len(file.number) == 14 else "siren"
            answer = ask(running, f"/v1/data/{file.dataset}", **({name: file.number} | WHY))
            if file.number == "000000001":
                problem_of(running, answer.json(), "request_malformed")
            elif file.status == 200:
                assert answer.json()["data"] == file.payload["data"]
                schema = answer_schema(contract, manifests()[file.dataset])["properties"]["data"]
                Draft4Validator(as_json_schema(schema)).validate(answer.json()["data"])
            else:
                problem_of(running, answer.json(), "company_unknown_to_holder")
