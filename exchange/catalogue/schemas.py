"""JSON Schemas (2020-12) of a dataset: what its answers look like and what it takes. Derived from its manifest. Pure.

A field's ``title`` is its French label; ``x-labels`` has both languages.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from exchange.company_request import MAX_WORDS
from openapi.document import exchange_schema
from providers.model import Field, FieldType, Manifest, Parameter
from providers.record import MAX_ITEMS, nullable_objects

Json: TypeAlias = dict[str, Any]
Tree: TypeAlias = "dict[str, Tree | Field]"
"""The fields by the segments of their paths."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[FieldType, Json] = {
    "string": {"type": "string"},
    # 00 stands for a month or a day that the holder does not know: no calendar date, so no 'format'.
    "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}
_SIRET = "^[0-9]{14}$"
_ABOUT_A_COMPANY: Mapping[str, Json] = {
    "siret": {"type": "string", "pattern": _SIRET, "title": "SIRET de l'établissement"},
    "siren": {"type": "string", "pattern": "^[0-9]{9}$", "title": "SIREN de l'entreprise"},
    "context": {"type": "string", "minLength": 1, "maxLength": MAX_WORDS, "title": "Nature de la procédure"},
    "object": {"type": "string", "minLength": 1, "maxLength": MAX_WORDS, "title": "Nom ou numéro de la procédure"},
    "recipient": {"type": "string", "pattern": _SIRET, "title": "SIRET de qui reçoit, s'il n'est pas qui demande"},
    "delegation_id": {"type": "string", "maxLength": MAX_WORDS, "title": "Délégation sous laquelle il est demandé"},
}
"""What a question about a company says, besides the dataset's own parameters."""


def answer_schema(manifest: Manifest, *, identifier: str) -> Json:
    """Of the whole answer of an exchange about it. ``identifier``: the URL where this schema is published."""
    definitions: Json = {}
    data = _object(tree_of(manifest), manifest, (), definitions)
    exchange = exchange_schema()
    if manifest.subject == "company":
        exchange["properties"].pop("derived", None)
    if manifest.links or manifest.meta:
        exchange["properties"]["meta"]["properties"]["holder"] = _of_the_holder(manifest)
    exchange["properties"]["data"] |= data | {"title": manifest.title["fr"], "x-labels": dict(manifest.title)}
    return {"$schema": DIALECT, "$id": identifier, **exchange, "$defs": definitions}


def parameters_schema(manifest: Manifest, *, identifier: str) -> Json:
    """Of what has to be said besides who asks, for whom, and about which citizen."""
    said = {name: _parameter(one) for name, one in manifest.parameters.items()}
    required = [name for name, one in manifest.parameters.items() if one.required]
    schema: Json = {"$schema": DIALECT, "$id": identifier, "type": "object"}
    if manifest.subject == "company":
        numbers = company_numbers(manifest)
        about = {
            name: one for name, one in _ABOUT_A_COMPANY.items() if name not in ("siret", "siren") or name in numbers
        }
        said = {**about, **said}
        required = ["context", "object", *required]
        schema["oneOf"] = [{"required": [number]} for number in numbers]
    return {**schema, "properties": said, "required": required, "additionalProperties": False}


def company_numbers(manifest: Manifest) -> tuple[str, ...]:
    """By which number of a company it may be asked, one of them; none for a dataset about citizens."""
    if manifest.subject == "citizen":
        return ()
    return ("siret",) if "{siret}" in manifest.path else ("siret", "siren")


def tree_of(manifest: Manifest) -> Tree:
    """Its fields as an answer nests them."""
    tree: Tree = {}
    for path, field in manifest.fields.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment]  # a name is a field or holds fields
        node[last] = field
    return tree


def _of_the_holder(manifest: Manifest) -> Json:
    """What the holder says beside its data, as it says it."""
    said = {"links": manifest.links, "meta": manifest.meta}
    objects = {
        kind: {"type": "object", "additionalProperties": False, "properties": {name: {} for name in sorted(names)}}
        for kind, names in said.items()
    }
    return {"type": "object", "additionalProperties": False, "required": sorted(objects), "properties": objects}


def _object(tree: Tree, manifest: Manifest, place: tuple[str, ...], definitions: Json) -> Json:
    """Every member may be missing: what was not consented, not permitted or not known is not there."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _field(inner) if isinstance(inner, Field) else _inner(inner, manifest, (*place, name), definitions)
            for name, inner in tree.items()
        },
    }


def _inner(tree: Tree, manifest: Manifest, place: tuple[str, ...], definitions: Json) -> Json:
    """One object, or a list of such where the holder has several; always a list where the manifest says so."""
    name = ".".join(place)
    definitions[name] = _object(tree, manifest, place, definitions)
    one: Json = {"$ref": f"#/$defs/{name}"}
    nothing: list[Json] = [{"type": "null"}] if name in nullable_objects(manifest) else []
    several = {"type": "array", "items": {"anyOf": [one, *nothing]} if nothing else one, "maxItems": MAX_ITEMS}
    return several if name == manifest.items else {"anyOf": [one, several, *nothing]}


def _field(field: Field) -> Json:
    value = dict(_TYPES[field.type])
    if field.many:
        value = {"type": "array", "items": value, "maxItems": MAX_ITEMS}
    if field.nullable:
        value["type"] = [value["type"], "null"]
    return {"title": field.label["fr"], "x-labels": dict(field.label), **value}


def _parameter(parameter: Parameter) -> Json:
    said = {"title": parameter.label["fr"], "x-labels": dict(parameter.label)}
    return {**said, "type": "string", "pattern": _anchored(parameter.pattern)}


def _anchored(pattern: re.Pattern[str]) -> str:
    """A parameter is matched whole, where JSON Schema searches."""
    return f"^(?:{pattern.pattern})$"
