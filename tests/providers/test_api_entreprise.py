"""The adapter of API Entreprise: what it asks, what it reads, and that whatever comes back has a declared end."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from openapi.fields import Siren, Siret, siren, siret
from openapi.problem import problems
from providers.adapters.api_entreprise import ApiEntreprise, takes_siret
from providers.errors import ProviderError
from providers.manifest import manifests
from providers.model import Manifest
from providers.port import Answer, HolderReply, HolderRequest, IdentityMissing, Query
from tests.providers.replies import STATUSES, bodies

RECIPIENT = Siret("21990001600011")
COMPANY = siret("41816609600069")
_KEYS = ("data", "links", "meta", "errors", "code", "siren", "chiffres_affaires", "chiffre_affaires", "document_url")
OURS = sorted(name for name, one in manifests().items() if one.holder == "api_entreprise")


class Holder:
    """Answers everything alike and remembers what it was asked."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._reply = HolderReply(status, headers or {}, raw)
        self.asked: list[HolderRequest] = []

    async def send(self, request: HolderRequest) -> HolderReply:
        self.asked.append(request)
        return self._reply


def fetch(dataset: str, holder: Holder, *, company: Siret | Siren = COMPANY, fields: tuple[str, ...] = ()) -> Answer:
    manifest = manifests()[dataset]
    query = Query(
        dataset=dataset,
        recipient=RECIPIENT,
        request_id="1",
        fields=fields or tuple(manifest.fields),
        company=company,
        context="Marché public",
        object="Crèche & école n° 12",
    )
    return asyncio.run(ApiEntreprise(manifest, clock=lambda: 1_000_000.0).fetch(query, holder.send))


def refused(status: int, code: str) -> Holder:
    return Holder(status, {"errors": [{"code": code, "title": "Titre", "detail": "Détail"}]}, {"retry-after": "7"})


@pytest.fixture(scope="module")
def contract(reference: Path) -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load((reference / "api-entreprise" / "openapi.yaml").read_text())
    return read


def answer_schema(contract: Mapping[str, Any], manifest: Manifest) -> Mapping[str, Any]:
    """The State's schema of the whole answer, as JSON Schema says what OpenAPI 3.0 does."""
    content = contract["paths"][manifest.path]["get"]["responses"]["200"]["content"]
    found: Mapping[str, Any] = content["application/json"]["schema"]
    return found


def example_of(schema: Mapping[str, Any]) -> Any:
    """A value as the State's contract shows it."""
    if schema.get("type") == "object":
        return {name: example_of(inner) for name, inner in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return schema.get("example") or [example_of(schema["items"])]
    if schema.get("nullable") and schema.get("example") is None:
        return None
    fallback = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "date": "2023-04-11"}[schema["type"]]
    value = schema.get("example", (schema.get("enum") or [fallback])[0])
    # The contract's own examples are not all of the type that it announces.
    return int(value) if schema["type"] == "integer" else value


@pytest.mark.parametrize("dataset", OURS)
def test_the_state_s_own_example_passes_whole_and_as_it_is(dataset: str, contract: Mapping[str, Any]) -> None:
    manifest = manifests()[dataset]
    envelope = example_of(answer_schema(contract, manifest))
    answer = fetch(dataset, Holder(200, envelope))
    expected = envelope["data"]
    if manifest.items is not None:
        expected = {manifest.items: [item["data"] for item in expected]}
    assert answer.record == expected
    assert answer.links.keys() == manifest.links
    assert answer.meta.keys() == manifest.meta


@pytest.mark.parametrize("dataset", OURS)
def test_every_field_of_the_state_s_contract_is_in_the_manifest(dataset: str, contract: Mapping[str, Any]) -> None:
    manifest = manifests()[dataset]
    properties = answer_schema(contract, manifest)["properties"]
    data = properties["data"]
    found = set(leaves(data["items"]["properties"]["data"], f"{manifest.items}.") if manifest.items else leaves(data))
    assert found == manifest.fields.keys()


def leaves(schema: Mapping[str, Any], above: str = "") -> list[str]:
    if schema.get("type") == "array":
        return leaves(schema["items"], above)
    if schema.get("type") != "object":
        return [above.removesuffix(".")]
    return [leaf for name, inner in schema["properties"].items() for leaf in leaves(inner, f"{above}{name}.")]


@pytest.mark.parametrize("dataset", OURS)
def test_the_request_says_for_whom_and_why_as_the_contract_requires(dataset: str, contract: Mapping[str, Any]) -> None:
    holder, manifest = Holder(404, {}), manifests()[dataset]
    with pytest.raises(ProviderError):
        fetch(dataset, holder)
    (asked,) = holder.asked
    assert asked.path == manifest.path.replace("{siren}", COMPANY[:9]).replace("{siret}", COMPANY)
    assert dict(asked.query) == {"recipient": RECIPIENT, "context": "Marché public", "object": "Crèche & école n° 12"}
    stated = contract["paths"][manifest.path]["get"]["parameters"]
    required = {one["name"] for one in stated if one.get("required") and one["in"] == "query"}
    assert required == {name for name, _ in asked.query}


def test_a_siren_serves_where_a_siren_is_asked_for_and_nowhere_else() -> None:
    number = siren(COMPANY[:9])
    for dataset in OURS:
        holder = Holder(404, {})
        with pytest.raises(IdentityMissing if takes_siret(manifests()[dataset]) else ProviderError):
            fetch(dataset, holder, company=number)
        assert bool(holder.asked) is not takes_siret(manifests()[dataset])


def test_a_list_may_hold_nothing_where_the_contract_says_so_and_only_there() -> None:
    data = {"entity": {"certifications": [None, {"code": "4322"}]}}
    holder = Holder(200, {"data": data, "links": {}, "meta": {}})
    assert fetch("certification_batiment", holder, fields=("entity.certifications.code",)).record == data
    with pytest.raises(ProviderError) as caught:
        fetch("extrait_rne", Holder(200, {"data": {"etablissements": [None]}}), fields=("etablissements.siret",))
    assert caught.value.slug == "holder_answer_invalid"


def test_a_refused_certificate_is_an_answer_and_not_an_error() -> None:
    status = {"code": "refus_de_delivrance", "libelle": "Refus", "description": "Pas à jour"}
    data = {"entity_status": status, "document_url": None, "document_url_expires_in": None, "date_debut_validite": None}
    answer = fetch("attestation_vigilance", Holder(200, {"data": data, "links": {}, "meta": {}}))
    assert answer.record == data


@pytest.mark.parametrize(
    ("status", "code", "slug"),
    [
        (404, "01003", "company_unknown_to_holder"),
        (404, "04003", "company_unknown_to_holder"),
        (410, "01007", "company_unknown_to_holder"),
        (502, "02502", "company_unknown_to_holder"),
        (451, "01005", "company_not_disclosed"),
        (451, "", "company_not_disclosed"),
        (502, "04503", "document_not_issued"),
        (502, "03501", "document_not_issued"),
        (502, "04501", "document_under_review"),
        (502, "04502", "holder_failed"),
        (502, "03510", "holder_busy"),
        (502, "04008", "holder_busy"),
        (429, "00429", "holder_busy"),
        (409, "00015", "holder_busy"),
        (504, "04002", "holder_timeout"),
        (504, "04001", "holder_unreachable"),
        (502, "34020", "holder_unreachable"),
        (502, "01999", "holder_failed"),
        (504, "00501", "holder_unreachable"),
        (422, "00301", "holder_refused_input"),
        (422, "00202", "holder_refused_input"),
        (401, "00101", "holder_refused_access"),
        (403, "00100", "holder_refused_access"),
        (418, "00003", "holder_answer_invalid"),
    ],
)
def test_each_error_of_the_state_s_table_has_its_own_problem(status: int, code: str, slug: str) -> None:
    with pytest.raises(ProviderError) as caught:
        fetch("attestation_vigilance", refused(status, code))
    assert caught.value.slug == slug
    waits = "{retry_in}" in problems()[slug].detail["en"]
    assert caught.value.facts == {"provider": "api_entreprise"} | ({"retry_in": 7} if waits else {})


def test_every_error_that_the_contract_shows_ends_in_a_declared_one(contract: Mapping[str, Any]) -> None:
    seen = 0
    for dataset in OURS:
        responses = contract["paths"][manifests()[dataset].path]["get"]["responses"]
        for status, response in responses.items():
            for example in response.get("content", {}).get("application/json", {}).get("examples", {}).values():
                with pytest.raises(ProviderError) as caught:
                    fetch(dataset, Holder(int(status), example["value"]))
                assert caught.value.slug != "holder_answer_invalid", (dataset, status, example)
                seen += 1
    assert seen > 100


FIXTURES = {
    "api_entreprise_v3_insee_etablissements": "etablissement",
    "api_entreprise_v4_acoss_attestations_sociales": "attestation_vigilance",
    "api_entreprise_v4_dgfip_attestations_fiscales": "attestation_fiscale",
}


@pytest.mark.parametrize("folder", sorted(FIXTURES))
def test_the_state_s_fixtures_pass_as_they_are_and_fit_its_contract(
    folder: str, reference: Path, contract: Mapping[str, Any]
) -> None:
    dataset = FIXTURES[folder]
    schema = answer_schema(contract, manifests()[dataset])["properties"]["data"]
    for file in sorted((reference / "api-entreprise" / "fixtures" / folder).glob("*.yaml")):
        fixture = yaml.safe_load(file.read_text())
        payload = json.loads(fixture["payload"])
        holder = Holder(fixture["status"], payload)
        if fixture["status"] != 200:
            with pytest.raises(ProviderError) as caught:
                fetch(dataset, holder)
            assert caught.value.slug == "company_unknown_to_holder"
            continue
        answer = fetch(dataset, holder)
        assert answer.record == payload["data"]
        Draft4Validator(as_json_schema(schema)).validate(answer.record)


def as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` and the contract's own ``date`` in JSON Schema; enumerations have holes."""
    if isinstance(schema, list):
        return [as_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: as_json_schema(value) for key, value in schema.items() if key not in {"example", "enum", "required"}}
    if read.get("type") == "date":
        read["type"] = "string"
    if schema.get("nullable") and isinstance(read.get("type"), str):
        read["type"] = [read["type"], "null"]
    return read


@given(STATUSES, bodies(_KEYS), st.sampled_from(OURS))
@settings(max_examples=300)
def test_whatever_comes_back_ends_in_a_clean_record_or_a_declared_error(status: int, body: bytes, dataset: str) -> None:
    try:
        answer = fetch(dataset, Holder(status, body))
    except ProviderError:
        return
    assert status == 200
    roots = {re.split(r"\.", path)[0] for path in manifests()[dataset].fields}
    assert answer.record.keys() <= roots
