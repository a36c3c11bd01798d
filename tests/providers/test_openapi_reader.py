"""A holder's OpenAPI file in the forms that holders write: references, joined parts, choices, lists, null."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.draft import Origin, draft
from providers.manifest import ManifestError, examine, manifests, parse_manifest
from providers.openapi_check import differences
from providers.openapi_reader import HolderPath, OpenapiError, read_openapi
from providers.vocabulary import VOCABULARIES

_PATH = "/v1/thing"


def _file(data: object, **components: object) -> bytes:
    answer = {"type": "object", "properties": {"data": data, "links": {"properties": {"next": {"type": "string"}}}}}
    responses = {"200": {"content": {"application/json": {"schema": answer}}}}
    operation = {"summary": "Une chose", "responses": responses}
    return json.dumps({"paths": {_PATH: {"get": operation}}, "components": {"schemas": components}}).encode()


def _read(data: object, **components: object) -> HolderPath:
    return read_openapi(_file(data, **components), name="holder.json").path(_PATH)


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_both_ways_of_null_are_read_and_reach_what_is_inside() -> None:
    text, older = {"type": ["string", "null"]}, {"type": "string", "nullable": True}
    inside = {**_object(c={"type": "integer"}), "nullable": True}
    fields = _read(_object(a=text, b=older, inside=inside, d={"type": "string"})).fields
    assert {name: one.nullable for name, one in fields.items()} == {"a": True, "b": True, "inside.c": True, "d": False}


def test_lists_of_objects_are_crossed_and_lists_of_values_are_many() -> None:
    values = {"type": "array", "items": {"type": "string"}, "example": ["x", "y"]}
    fields = _read(_object(rows={"type": "array", "items": _object(name={"type": "string"})}, values=values)).fields
    assert [(name, one.many) for name, one in fields.items()] == [("rows.name", False), ("values", True)]
    assert fields["values"].example == "x"


def test_references_and_joined_parts_are_followed() -> None:
    part = {"allOf": [{"$ref": "#/components/schemas/One"}, _object(b={"type": "boolean"})]}
    assert _read(part, One=_object(a={"type": "integer"})).fields.keys() == {"a", "b"}


def test_of_a_choice_every_branch_may_be_there_or_not() -> None:
    choice = {"oneOf": [_object(a={"type": "integer"}), _object(b={"type": "string"})]}
    fields = _read(_object(choice=choice)).fields
    assert {name: one.nullable for name, one in fields.items()} == {"choice.a": True, "choice.b": True}


def test_a_date_is_known_by_its_format_or_its_example() -> None:
    fields = _read(
        _object(
            a={"type": "string", "format": "date"}, b={"type": "string", "example": "2026-01-31"}, c={"type": "string"}
        )
    ).fields
    assert [one.type for one in fields.values()] == ["date", "date", "string"]


def test_links_are_listed_and_what_has_no_type_is_left_out() -> None:
    path = _read(_object(a={"type": "integer"}, free={"type": "object"}, odd={}))
    assert path.links == {"next"}
    assert path.fields.keys() == {"a"}


@pytest.mark.parametrize(
    ("data", "components", "said"),
    [
        ({"$ref": "#/components/schemas/Gone"}, {}, "Gone is not in the file"),
        ({"$ref": "other.yaml#/Thing"}, {}, "outside the file"),
        ({"$ref": "#/components/schemas/Loop"}, {"Loop": {"$ref": "#/components/schemas/Loop"}}, "deeper than"),
        ({"$ref": "#/components/schemas/Tree"}, {"Tree": _object(a={"$ref": "#/components/schemas/Tree"})}, "deeper"),
        (_object(a={"type": 3}), {}, "not as OpenAPI says"),
        (_object(**{f"f{number}": {"type": "integer"} for number in range(2001)}), {}, "more than 2000 fields"),
    ],
)
def test_what_cannot_be_read_is_named(data: object, components: dict[str, object], said: str) -> None:
    with pytest.raises(OpenapiError, match=said):
        _read(data, **components)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "nullable",
                    "enum",
                    "example",
                    "allOf",
                    "oneOf",
                    "$ref",
                    "title",
                    "a",
                    "b",
                ]
            ),
            inner | st.sampled_from(["string", "object", "array", "integer", "#/components/schemas/One"]),
        )
    ),
    max_leaves=20,
)


@given(_ANY, _ANY)
@settings(max_examples=300, deadline=None)
def test_any_file_is_read_or_refused_and_any_draft_is_toml_that_names_what_is_left_to_do(
    data: object, one: object
) -> None:
    try:
        path = _read(data, One=one)
    except OpenapiError:
        return
    text = draft(Origin("thing", "api_particulier", "api_particulier", VOCABULARIES["api_particulier"]), path)
    assert tomllib.loads(text)["dataset"] == "thing"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, name="thing.toml")
    assert all(error.startswith("thing.toml: ") for error in caught.value.errors)


@pytest.mark.parametrize("holder", ["api_particulier", "api_entreprise"])
def test_a_draft_of_any_path_of_the_states_lacks_words_alone_and_agrees_with_its_file(
    reference: Path, holder: str
) -> None:
    file = reference / holder.replace("_", "-") / "openapi.yaml"
    contract = read_openapi(file.read_bytes(), name=file.name)
    drafted = 0
    for place in contract.paths():
        try:
            path = contract.path(place, items="thing")
        except OpenapiError:
            continue
        text = draft(Origin("thing", holder, holder, VOCABULARIES[holder]), path)
        manifest, faults = examine(text, name="thing.toml")
        assert manifest is not None
        left = [fault for fault in faults if "in the place of TODO" not in fault]
        assert left == ([] if path.fields else ["thing.toml: fields: at least one"]), place
        assert differences(manifest, contract, name="thing.toml") == [], place
        drafted += bool(path.fields)
    assert drafted >= {"api_particulier": 36, "api_entreprise": 40}[holder]


def test_the_path_of_each_identifier_is_held_against_the_file_too(reference: Path) -> None:
    file = reference / "api-particulier" / "openapi.yaml"
    contract = read_openapi(file.read_bytes(), name=file.name)
    student = manifests()["statut_etudiant"]
    assert differences(student, contract, name="x.toml") == []
    number = student.identifiers["ine"]
    misnamed = replace(student, identifiers={"numero": number})
    assert differences(misnamed, contract, name="x.toml") == [
        "x.toml: identifiers.'numero': /v3/mesri/statut_etudiant/numero: no GET in the holder's file"
    ]
    untold = replace(student, identifiers={"france_connect": number})
    assert differences(untold, contract, name="x.toml")[0] == (
        "x.toml: identifiers.'france_connect': the holder takes no such parameter"
    )
    wider = replace(student, fields={**student.fields, "email": student.fields["identite.prenom"]})
    assert differences(wider, contract, name="x.toml")[-1] == (
        "x.toml: identifiers.'ine': fields.'email': not in the holder's answer"
    )
