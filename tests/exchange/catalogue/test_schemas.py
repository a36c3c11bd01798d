"""The published schemas say what the exchange answers and takes: no more, no less."""

import copy
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from exchange.catalogue.description import describe, schemas_of
from exchange.catalogue.example import example_answer
from exchange.catalogue.schemas import answer_schema
from exchange.company_request import question_to_dataset
from exchange.masking import apply_mask, compile_mask
from openapi.problem import AccordError
from providers.manifest import manifests, parse_manifest
from providers.model import Manifest
from providers.record import RecordInvalid, RecordReader
from sandbox.api_particulier import load_families
from tests.conftest import REPOSITORY

BASE = "https://accord.example"
ALL = [pytest.param(one, id=name) for name, one in manifests().items()]
FAMILY_QUOTIENT = manifests()["quotient_familial"]
WRONG = object()

STRANGE = """
dataset = "strange"
title = { fr = "Étrange", en = "Strange" }
holder = "api_particulier"
provider = { fr = "Personne", en = "Nobody" }
subject = "citizen"
legal_basis = "consent"
retention = "P1Y"
path = "/strange/{numero}"
scopes = ["strange"]
items = "cases"

[parameters]
numero = { pattern = "[0-9]{3}|x", fr = "Numéro", en = "Number" }
note = { pattern = ".{0,20}", required = false, fr = "Note", en = "Note" }

[fields]
"cases.names" = { type = "string", many = true, nullable = true, fr = "Noms", en = "Names" }
"cases.since" = { type = "date", fr = "Depuis", en = "Since" }
"cases.home.open" = { type = "boolean", fr = "Ouvert", en = "Open" }
"cases.home.share" = { type = "number", fr = "Part", en = "Share" }
"""


def validator_of(manifest: Manifest) -> Draft202012Validator:
    return Draft202012Validator(answer_schema(manifest, identifier=f"{BASE}/schema"))


def answer_with(data: object) -> dict[str, object]:
    return {**example_answer(FAMILY_QUOTIENT), "data": data}


@pytest.mark.parametrize("manifest", ALL)
def test_every_schema_is_valid_2020_12_and_names_its_own_address(manifest):
    view = describe(manifest, base=BASE)
    for name, schema in schemas_of(manifest, base=BASE).items():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == view.links[f"{name}_schema"]


@pytest.mark.parametrize("manifest", ALL)
def test_the_example_is_an_answer_that_the_holder_could_give(manifest):
    answer = example_answer(manifest)
    validator_of(manifest).validate(answer)
    assert RecordReader(manifest).read(answer["data"], tuple(manifest.fields)) == answer["data"]


@pytest.mark.parametrize("manifest", ALL)
def test_no_field_may_hold_a_value_that_the_gateway_would_not_pass(manifest):
    schema, reader = validator_of(manifest), RecordReader(manifest)
    for changed in _with_one_wrong(example_answer(manifest)):
        assert not schema.is_valid(changed)
        with pytest.raises(RecordInvalid):
            reader.read(changed["data"], tuple(manifest.fields))


def _with_one_wrong(answer: dict[str, object]) -> Iterator[dict[str, object]]:
    """The answer with one leaf after another replaced by an object, which no field is."""

    def places(value: object, way: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from places(inner, (*way, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from places(inner, (*way, number))
        else:
            yield way

    for *way, last in places(answer["data"], ()):
        changed = copy.deepcopy(answer)
        node = changed["data"]
        for step in way:
            node = node[step]
        node[last] = {"wrong": 1}
        yield changed


def test_an_answer_with_anything_more_is_not_one():
    validator = validator_of(FAMILY_QUOTIENT)
    assert validator.is_valid(answer_with({}))
    assert not validator.is_valid(answer_with({"numero_allocataire": "1"}))
    assert not validator.is_valid(answer_with({"adresse": {"etage": "2"}}))
    assert not validator.is_valid(answer_with({"enfants": [{"prenoms": "A"}, {"nir": "1"}]}))
    assert not validator.is_valid({"data": {}})


def test_what_a_holder_says_beside_its_data_is_announced_where_it_is_passed_on():
    for manifest in manifests().values():
        meta = answer_schema(manifest, identifier="x")["properties"]["meta"]["properties"]
        assert ("holder" in meta) == bool(manifest.links or manifest.meta)
        if "holder" in meta:
            said = {kind: set(one["properties"]) for kind, one in meta["holder"]["properties"].items()}
            assert said == {"links": set(manifest.links), "meta": set(manifest.meta)}


def test_lists_dates_numbers_and_nulls_are_as_the_manifest_says():
    validator = validator_of(parse_manifest(STRANGE, name="strange.toml"))
    case = {"names": ["a", "b"], "since": "1990-00-00", "home": {"open": True, "share": 2.5}}

    def accepts(**changed: object) -> bool:
        return validator.is_valid(answer_with({"cases": [case | changed]}))

    assert accepts()
    assert accepts(names=None)
    assert accepts(home=[{"open": True}, {"share": 1}])
    assert not accepts(names="a")
    assert not accepts(names=[1])
    assert not accepts(since=None)
    assert not accepts(since="yesterday")
    assert not accepts(home={"open": 1})
    assert not validator.is_valid(answer_with({"cases": case}))


def test_what_has_to_be_said_besides_is_matched_whole():
    schema = schemas_of(parse_manifest(STRANGE, name="strange.toml"), base=BASE)["parameters"]
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"numero": "123"})
    assert validator.is_valid({"numero": "x", "note": "anything"})
    assert not validator.is_valid({"numero": "1234"})
    assert not validator.is_valid({"numero": "xx"})
    assert not validator.is_valid({"note": "anything"})
    assert not validator.is_valid({"numero": "123", "other": ""})


def test_the_stand_ins_answers_are_as_the_schema_says():
    families = [one for one in load_families(REPOSITORY / "sandbox" / "families") if one.status == 200]
    assert len(families) >= 3
    _check_payloads([family.payload for family in families])


def test_the_states_own_fixtures_are_as_the_schema_says(reference):
    folders = sorted((reference / "api-particulier" / "fixtures").glob("api_particulier_v3_cnav_quotient_familial*"))
    payloads = [one.payload for folder in folders for one in load_families(folder) if one.status == 200]
    assert len(payloads) >= 20
    _check_payloads(payloads)


def _check_payloads(payloads):
    """Through the gateway's own reader and mask, with every field permitted."""
    reader, validator = RecordReader(FAMILY_QUOTIENT), validator_of(FAMILY_QUOTIENT)
    fields = tuple(FAMILY_QUOTIENT.fields)
    for payload in payloads:
        data = apply_mask(compile_mask(fields), reader.read(payload["data"], fields))
        assert data
        validator.validate(answer_with(data))


def test_nothing_of_the_catalogue_is_written_twice():
    code = "".join(path.read_text() for path in (REPOSITORY / "exchange" / "catalogue").rglob("*.py"))
    assert [name for name in manifests() if f'"{name}"' in code] == []


def test_a_question_about_a_company_is_announced_as_the_server_reads_it():
    company = next(one for one in manifests().values() if "{siret}" in one.path)
    schema = Draft202012Validator(schemas_of(company, base=BASE)["parameters"])
    asked = {"siret": "0" * 14, "context": "Marché public", "object": "2026-017"}
    for given in (asked, asked | {"recipient": "0" * 14, "delegation_id": "d1"}):
        assert schema.is_valid(given)
        assert question_to_dataset(urlencode(given).encode(), company).company == "0" * 14
    for given in ({"siret": "0" * 14}, asked | {"siren": "0" * 9}, asked | {"other": "1"}, asked | {"context": ""}):
        assert not schema.is_valid(given)
        with pytest.raises(AccordError):
            question_to_dataset(urlencode(given).encode(), company)
