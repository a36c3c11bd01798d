"""The catalogue over HTTP: whole, the same for everybody, and asked again for nothing when nothing changed."""

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from exchange.catalogue.description import describe_bundles
from exchange.catalogue.routes import router
from exchange.errors import ProblemWriter, install
from providers.bundle import Bundle, bundles
from providers.manifest import manifests

BASE = "https://accord.example"
PLACE = "/v1/datasets/quotient_familial"


@pytest.fixture(scope="module")
def program() -> TestClient:
    app = FastAPI()
    install(app, ProblemWriter(BASE))
    app.include_router(router(manifests(), describe_bundles(bundles().values(), manifests(), base=BASE), base=BASE))
    return TestClient(app, base_url=BASE)


def test_the_list_has_every_dataset_and_each_leads_to_its_own_place(program):
    listed = program.get("/v1/datasets").json()["datasets"]
    assert [one["dataset"] for one in listed] == list(manifests())
    for one in listed:
        assert program.get(one["links"]["self"]).json().items() >= one.items()


def test_a_dataset_says_whose_it_is_and_what_an_application_needs(program):
    view = program.get(PLACE).json()
    assert view["type"] == "urn:accord:quotient_familial"
    assert view["subject"] == "citizen"
    assert view["provider"].keys() == {"fr", "en"}
    assert view["retention"] == "P1Y"
    assert [one["url"] for one in view["doors"]] == [
        f"{BASE}/v1/data/quotient_familial",
        f"{BASE}/v3/dss/quotient_familial/identite",
        f"{BASE}/v3/dss/quotient_familial/france_connect",
    ]
    assert "consent" in view["habilitation"]["grounds"]
    child = next(one for one in view["fields"] if one["name"] == "enfants.prenoms")
    assert child == {
        "name": "enfants.prenoms",
        "type": "string",
        "many": False,
        "nullable": False,
        "about": "child",
        "label": {"fr": "Prénoms des enfants", "en": "Children's given names"},
    }


def test_each_schema_is_at_its_own_address_and_is_the_one_shown_with_the_dataset(program):
    view = program.get(PLACE).json()
    for name in ("answer", "authorization_details", "parameters"):
        reply = program.get(view["links"][f"{name}_schema"])
        assert reply.headers["content-type"] == "application/schema+json"
        assert reply.json() == view[f"{name}_schema"]
        Draft202012Validator.check_schema(reply.json())


def test_what_says_something_of_a_person_is_never_asked_for_in_a_url(program):
    view = program.get("/v1/datasets/demandeur_emploi").json()
    assert [one["personal"] for one in view["parameters"] if one["name"] == "identifiant"] == [True]
    # The State's own path takes it in the URL, as applications that were written for it send it.
    assert [(one["kind"], one["method"]) for one in view["doors"]] == [("accord", "POST"), ("drop_in", "GET")]
    assert view["habilitation"]["grounds"] == ["consent", "agent", "application"]


def test_where_only_a_consent_token_opens_a_door_no_other_ground_is_promised(program):
    for name, manifest in manifests().items():
        view = program.get(f"/v1/datasets/{name}").json()
        has_peers = any(one["kind"] == "drop_in" for one in view["doors"])
        if manifest.subject == "citizen":
            assert (view["habilitation"]["grounds"] == ["consent"]) != has_peers


def test_a_dataset_about_companies_has_no_authorisation_of_a_citizen(program):
    companies = [name for name, one in manifests().items() if one.subject == "company"]
    for name in companies:
        view = program.get(f"/v1/datasets/{name}").json()
        assert view["authorization_details_schema"] is None
        assert view["habilitation"]["grounds"] == ["company"]
        assert {one["about"] for one in view["fields"]} == {"company"}
        reply = program.get(f"/v1/datasets/{name}/schemas/authorization_details")
        assert reply.status_code == 404


@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/datasets.jsonld", PLACE, f"{PLACE}/schemas/answer"])
def test_who_has_an_answer_is_told_that_nothing_changed(program, path):
    first = program.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=300"
    assert tag.startswith('"')
    for sent in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        again = program.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    for sent in ('"another"', "", tag.strip('"')):
        assert program.get(path, headers={"If-None-Match": sent}).status_code == 200


def test_the_dcat_record_is_json_ld(program):
    reply = program.get("/v1/datasets.jsonld")
    assert reply.headers["content-type"] == "application/ld+json"
    assert reply.json()["@type"] == "dcat:Catalog"


def test_every_answer_has_a_validator_of_its_own(program):
    paths = ["/v1/datasets", *(f"/v1/datasets/{name}" for name in manifests()), f"{PLACE}/schemas/answer"]
    assert len({program.get(path).headers["etag"] for path in paths}) == len(paths)


@pytest.mark.parametrize("path", ["/v1/datasets/unknown", "/v1/datasets/unknown/schemas/answer"])
def test_what_is_not_offered_is_a_problem_that_says_so(program, path):
    reply = program.get(path)
    assert reply.status_code == 404
    assert reply.json()["type"] == f"{BASE}/problems/dataset_unknown"


@pytest.mark.parametrize("path", [f"{PLACE}/schemas/other", f"/v1/datasets/{'a' * 65}"])
def test_what_cannot_be_is_refused_before_it_is_looked_for(program, path):
    assert program.get(path).status_code == 400


def test_what_can_be_asked_for_together_is_listed(program):
    listed = program.get("/v1/datasets").json()["bundles"]
    assert [one["bundle"] for one in listed] == list(bundles())
    file = next(one for one in listed if one["bundle"] == "dossier_marche_public")
    assert file["url"] == f"{BASE}/v1/bundles/dossier_marche_public"
    assert "attestation_vigilance" in file["datasets"]


def test_of_a_bundle_only_what_is_offered_is_listed():
    made = Bundle("both", {"fr": "Les deux", "en": "Both"}, ("here", "elsewhere"))
    nothing = Bundle("none", {"fr": "Rien", "en": "None"}, ("elsewhere",))
    assert [one.datasets for one in describe_bundles([made, nothing], ["here"], base=BASE)] == [["here"]]
