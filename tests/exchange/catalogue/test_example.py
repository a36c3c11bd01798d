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
from exchange.question import question
from exchange.registry_file import RegistryFile
from openapi.fields import siren, siret
from providers.manifest import manifests

BASE = "https://accord.example"
CALLERS = {"ANNEESCOLAIRE": "2026-2027", "ANNEE": "2025", "IDENTIFIANT": "nobody"}
"""Values of what datasets must be told; a new such parameter needs one."""
ALL = [pytest.param(one, id=name) for name, one in manifests().items()]


@pytest.mark.parametrize("manifest", ALL)
def test_the_command_is_a_question_that_the_server_takes(manifest):
    command = command_of(manifest)
    assert command[0] == "curl"
    assert f"{BASE}/v1/data/{manifest.dataset}" in command
    assert given(command, "--header")[0] == "Authorization: Bearer t"
    if "--get" in command:
        query = urlencode(dict(one.split("=", 1) for one in given(command, "--data-urlencode"))).encode()
        asked = ask(manifest, query, None)
    else:
        asked = ask(manifest, b"", given(command, "--json")[0].encode())
    assert asked.fields == shown(manifest)
    assert asked.parameters.keys() == {name for name, one in manifest.parameters.items() if one.required}


@pytest.mark.parametrize("manifest", ALL)
def test_the_command_brings_the_citizens_token_where_the_holder_wants_it(manifest):
    headers = given(command_of(manifest), "--header")
    assert ("X-FranceConnect-OAuth: f" in headers) == manifest.franceconnect_token


def command_of(manifest):
    """As a shell reads it, the caller's own values filled in."""
    line = example_request(manifest, base=BASE).replace("\\\n", " ")
    for name, value in {"FRANCECONNECT_TOKEN": "f", "TOKEN": "t", **CALLERS}.items():
        line = line.replace(f"${name}", value)
    assert "$" not in line
    return shlex.split(line)


def given(command, flag):
    return [one for before, one in itertools.pairwise(command) if before == flag]


def ask(manifest, query, body):
    if manifest.subject == "company":
        return question_to_dataset(query, manifest)
    return question(query, body, manifest)


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
