"""What a deployment answers is what its catalogue announced, over real HTTP."""

import html
import re

import httpx
import pytest
from jsonschema import Draft202012Validator

from sandbox.app import people_of
from tests.journeys.deployment import Deployment

pytestmark = pytest.mark.enable_socket


def test_every_answer_about_the_sandboxs_people_conforms_to_the_published_schema(deployment: Deployment) -> None:
    view = _get(deployment, "/v1/datasets/quotient_familial").json()
    published = httpx.get(view["links"]["answer_schema"], trust_env=False).json()
    schema = Draft202012Validator(published)
    answers = [
        reply.json()
        for person in range(len(people_of(deployment.world.sandbox.families)))
        if (reply := deployment.exchange(deployment.token(person=person))).status_code == httpx.codes.OK
    ]
    assert len(answers) >= 3
    for answer in answers:
        assert answer["data"]
        schema.validate(answer)
        assert not schema.is_valid({**answer, "data": {**answer["data"], "more": 1}})


def test_what_an_application_may_ask_for_is_what_the_server_accepts(deployment: Deployment) -> None:
    view = _get(deployment, "/v1/datasets/quotient_familial").json()
    named = next(one["url"] for one in view["doors"] if one["kind"] == "accord")
    assert named == f"{deployment.url}/v1/data/quotient_familial"
    reply = deployment.exchange(deployment.token(), query=f"?fields={view['fields'][0]['name']}")
    assert reply.status_code == httpx.codes.OK


def test_asking_again_costs_an_empty_answer(deployment: Deployment) -> None:
    first = _get(deployment, "/v1/datasets")
    again = httpx.get(
        f"{deployment.url}/v1/datasets", headers={"If-None-Match": first.headers["etag"]}, trust_env=False
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"].startswith("public")


def _get(deployment: Deployment, path: str) -> httpx.Response:
    return httpx.get(deployment.url + path, trust_env=False).raise_for_status()


def test_no_link_of_the_catalogues_pages_leads_nowhere(deployment: Deployment) -> None:
    followed = set()
    for page in ("/catalogue", "/catalogue/quotient_familial", "/catalogue?q=enfant&lang=en"):
        text = _get(deployment, page).text
        followed |= {html.unescape(link) for link in re.findall(r'href="(/[^"]*)"', text)}
    assert {"/v1/datasets.jsonld", "/openapi.yaml", "/v1/datasets/quotient_familial/schemas/answer"} <= followed
    assert len(followed) > 8
    for link in sorted(followed):
        assert _get(deployment, link).status_code == httpx.codes.OK, link


@pytest.mark.parametrize("siret", ["00000001800010", "00000002600013"])
def test_every_part_of_a_companys_file_conforms_to_the_schema_of_its_dataset(
    deployment: Deployment, siret: str
) -> None:
    listed = _get(deployment, "/v1/datasets").json()
    file = next(one for one in listed["bundles"] if one["bundle"] == "dossier_marche_public")
    answer = httpx.get(
        file["url"],
        params={"siret": siret, "context": "Marché public", "object": "2026-017"},
        headers={"Authorization": f"Bearer {deployment.world.buyers_token}"},
        timeout=30,
        trust_env=False,
    ).json()
    given = {name: part for name, part in answer["datasets"].items() if "data" in part}
    assert set(answer["datasets"]) == set(file["datasets"])
    assert len(given) >= 4
    for name, part in given.items():
        Draft202012Validator(_get(deployment, f"/v1/datasets/{name}/schemas/answer").json()).validate(part)
