"""What the catalogue shows as an example would work as it stands, and is about nobody."""

import itertools
import json
import shlex
import tomllib
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from exchange.catalogue.description import schemas_of
from exchange.catalogue.example import (
    NOBODY,
    example_answer,
    example_details,
    example_habilitation,
    example_request,
    shown,
)
from exchange.company_request import question_to_dataset
from exchange.registry_file import RegistryFile
from openapi.fields import siren, siret
from providers.manifest import manifests

BASE = "https://accord.example"
ALL = [pytest.param(one, id=name) for name, one in manifests().items()]


@pytest.mark.parametrize("manifest", ALL)
def test_the_command_asks_for_fields_that_there_are(manifest):
    command = shlex.split(example_request(manifest, base=BASE).replace("\\\n", " "))
    assert command[:3] == ["curl", "--get", f"{BASE}/v1/data/{manifest.dataset}"]
    said = [one for flag, one in itertools.pairwise(command) if flag == "--data-urlencode"]
    given = dict(one.split("=", 1) for one in said)
    assert given["fields"].split(",") == list(shown(manifest))
    assert set(shown(manifest)) <= manifest.fields.keys()
    if manifest.subject == "company" and not any(one.required for one in manifest.parameters.values()):
        assert question_to_dataset(urlencode(given).encode(), manifest).fields == shown(manifest)


@pytest.mark.parametrize("manifest", ALL)
def test_the_answer_holds_what_the_command_asks_for_and_no_more(manifest):
    def leaves(value, path=()):
        if isinstance(value, list):
            return {leaf for one in value for leaf in leaves(one, path)}
        if isinstance(value, dict):
            return {leaf for key, one in value.items() for leaf in leaves(one, (*path, key))}
        return {".".join(path)}

    answer = example_answer(manifest, shown(manifest))
    assert leaves(answer["data"]) == set(shown(manifest))
    Draft202012Validator(schemas_of(manifest, base=BASE)["answer"]).validate(answer)


@pytest.mark.parametrize("manifest", ALL)
def test_the_authorisation_asked_for_is_one_that_the_schema_allows(manifest):
    schema = schemas_of(manifest, base=BASE).get("authorization_details")
    if schema is not None:
        Draft202012Validator(schema).validate(json.loads(json.dumps(example_details(manifest))))


@pytest.mark.parametrize("manifest", ALL)
def test_the_habilitation_is_one_that_the_registry_takes(manifest):
    read = RegistryFile.model_validate(tomllib.loads(example_habilitation(manifest))).habilitation
    assert [one.dataset for one in read] == [manifest.dataset]
    assert read[0].fields == list(shown(manifest))


def test_the_numbers_are_well_formed_and_nobodys():
    assert siret(NOBODY["siret"]) == "0" * 14
    assert siren(NOBODY["siren"]) == "0" * 9
