"""JSON Schemas (2020-12) of a dataset: what its answers look like and what it takes. Derived from its manifest. Pure.

A field's ``title`` is its French label; ``x-labels`` has both languages.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from openapi.document import exchange_schema
from providers.manifest import Field, FieldType, Manifest, Parameter
from providers.record import MAX_ITEMS

Json: TypeAlias = dict[str, Any]
Tree: TypeAlias = "dict[str, Tree | Field]"
"""The fields by the segments of their paths."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LONGEST_REASON = 200
"""Characters of ``context`` and ``object``."""

_TYPES: Mapping[FieldType, Json] = {
    "string": {"type": "string"},
    # 00 stands for a month or a day that the holder does not know: no calendar date, so no 'format'.
    "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}
_COMPANY = {
    "siret": ("^[0-9]{14}$", "Numéro SIRET de l'établissement", "SIRET number of the establishment"),
    "siren": ("^[0-9]{9}$", "Numéro SIREN de l'entreprise", "SIREN number of the company"),
}


def answer_schema(manifest: Manifest, *, identifier: str) -> Json:
    """Of the whole answer of an exchange about it. ``identifier``: the URL where this schema is published."""
    definitions: Json = {}
    data = _object(tree_of(manifest), manifest, (), definitions)
    exchange = exchange_schema()
    exchange["properties"]["data"] |= data | {"title": manifest.title["fr"], "x-labels": dict(manifest.title)}
    return {"$schema": DIALECT, "$id": identifier, **exchange, "$defs": definitions}


def parameters_schema(manifest: Manifest, *, identifier: str) -> Json:
    """Of what has to be said besides who asks, for whom, and about which citizen."""
    said = {name: _company(name) for name in company_numbers(manifest)}
    said |= {name: _parameter(one) for name, one in manifest.parameters.items()}
    required = [*company_numbers(manifest), *(name for name, one in manifest.parameters.items() if one.required)]
    return {
        "$schema": DIALECT,
        "$id": identifier,
        "type": "object",
        "properties": said,
        "required": required,
        "additionalProperties": False,
    }


def company_numbers(manifest: Manifest) -> tuple[str, ...]:
    """Which number of a company it is asked by: ``siret`` or ``siren``; none for a dataset about citizens."""
    return tuple(name for name in _COMPANY if f"{{{name}}}" in manifest.path)


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
    several = {"type": "array", "items": one, "maxItems": MAX_ITEMS}
    return several if name == manifest.items else {"anyOf": [one, several]}


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


def _company(name: str) -> Json:
    pattern, french, english = _COMPANY[name]
    return {"title": french, "x-labels": {"fr": french, "en": english}, "type": "string", "pattern": pattern}


def _anchored(pattern: re.Pattern[str]) -> str:
    """A parameter is matched whole, where JSON Schema searches."""
    return f"^(?:{pattern.pattern})$"
