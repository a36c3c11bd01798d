"""The contract of exchanges about companies: a path for each dataset, and one for each bundle. Pure.

Each dataset has a path of its own, as its fields and the number it takes are its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

SECURITY = "application_token"
SECURITY_SCHEME: Json = {
    "type": "http",
    "scheme": "bearer",
    "description": "the access token of an application, made by 'accord registry client-token'",
}

_SIRET: Json = {"type": "string", "pattern": "^[0-9]{14}$"}
_SIREN: Json = {"type": "string", "pattern": "^[0-9]{9}$"}
_SENTENCE: Json = {"type": "string", "minLength": 1, "maxLength": 250}


@dataclass(frozen=True, slots=True)
class CompanyDataset:
    """What the contract says of a dataset about companies."""

    name: str
    title: str
    fields: Sequence[str]
    takes_siren: bool
    """Whether a SIREN does as well as a SIRET."""


def company_paths(datasets: Sequence[CompanyDataset], bundles: Mapping[str, str], *, responses: Json) -> Json:
    """The paths. ``bundles``: title by name; ``responses``: what every operation may answer besides 200."""
    about_one = {f"/v1/data/{one.name}": {"get": _dataset(one, responses)} for one in datasets}
    about_all = {f"/v1/bundles/{name}": {"get": _bundle(name, bundles[name], responses)} for name in bundles}
    return about_one | about_all


def company_schemas(exchange: Json) -> Json:
    """The schemas of their answers; ``exchange``: that of an exchange about a citizen, which is used up."""
    exchange["properties"].pop("derived", None)
    exchange["properties"]["meta"]["properties"]["holder"] = {
        "type": "object",
        "description": "what the holder says beside its data: its links and its meta",
        "required": ["links", "meta"],
        "properties": {"links": {"type": "object"}, "meta": {"type": "object"}},
    }
    problem = {
        "type": "object",
        "required": ["problem"],
        "additionalProperties": False,
        "properties": {"problem": {"$ref": "#/components/schemas/Problem"}},
    }
    bundle = {
        "type": "object",
        "required": ["complete", "datasets"],
        "additionalProperties": False,
        "properties": {
            "complete": {"type": "boolean", "description": "whether every dataset was given"},
            "datasets": {
                "type": "object",
                "description": "by dataset: its answer, or why there is none",
                "additionalProperties": {"anyOf": [{"$ref": "#/components/schemas/CompanyExchange"}, problem]},
            },
        },
    }
    return {"CompanyExchange": exchange, "Bundle": bundle}


def _dataset(one: CompanyDataset, responses: Json) -> Json:
    names = "|".join(re.escape(name) for name in sorted(one.fields))
    fields = {
        "name": "fields",
        "in": "query",
        "description": "names of fields, separated by commas; absent: all that the habilitation opens",
        "schema": {"type": "string", "maxLength": 8000, "pattern": f"^({names})(,({names}))*$"},
    }
    numbers = [_query("siret", _SIRET, "of the company's establishment", required=not one.takes_siren)]
    if one.takes_siren:
        numbers.append(_query("siren", _SIREN, "of the company, in the place of 'siret'"))
    return {
        "tags": ["exchange"],
        "operationId": one.name,
        "summary": f"One exchange about a company: {one.title}",
        "security": [{SECURITY: []}],
        "parameters": [*numbers, *_reasons(), fields],
        "responses": _responses("CompanyExchange", "the data, after its entry was written to the log", responses),
    }


def _bundle(name: str, title: str, responses: Json) -> Json:
    return {
        "tags": ["exchange"],
        "operationId": name,
        "summary": f"Every dataset of a bundle about one company, asked at once: {title}",
        "security": [{SECURITY: []}],
        "parameters": [_query("siret", _SIRET, "of the company's establishment", required=True), *_reasons()],
        "responses": _responses("Bundle", "each dataset's answer or problem, each with its entry", responses),
    }


def _reasons() -> list[Json]:
    return [
        _query("context", _SENTENCE, "kind of procedure, such as 'Marché public'", required=True),
        _query("object", _SENTENCE, "name or number of the procedure", required=True),
        _query("recipient", _SIRET, "who uses the data; absent: the application's own organisation"),
        _query("delegation_id", _SENTENCE, "the delegation under which another organisation's data is asked for"),
    ]


def _query(name: str, schema: Json, description: str, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": dict(schema)}


def _responses(schema: str, description: str, problems: Json) -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    shared = {status: {"$ref": f"#/components/responses/Problem{status}"} for status in problems}
    return {"200": {"description": description, "content": content}, **shared}
