"""The State's OpenAPI files (3.0) as JSON Schemas, to hold answers to."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml


@lru_cache(maxsize=2)
def contract(file: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read: dict[str, Any] = yaml.load(file.read_text(), Loader=loader)  # noqa: S506  # one of the safe loaders
    return read


def check_against(file: Path, path: str, status: int, body: object) -> None:
    """Raise ``jsonschema.ValidationError`` for another form than announced, ``KeyError`` for another status."""
    document = contract(file)
    (content,) = document["paths"][path]["get"]["responses"][str(status)]["content"].values()
    schema = {**_json_schema(content["schema"]), "components": _json_schema(document["components"])}
    jsonschema.Draft7Validator(schema).validate(body)


def headers_of(file: Path, path: str, status: int) -> set[str]:
    """Names of the headers that are announced."""
    return set(contract(file)["paths"][path]["get"]["responses"][str(status)].get("headers", {}))


def _json_schema(schema: Any) -> Any:
    """``nullable`` is OpenAPI's alone, and 'date' no type of anybody's."""
    if isinstance(schema, list):
        return [_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _json_schema(value) for key, value in schema.items() if key not in {"example", "examples"}}
    if read.get("type") == "date":
        read["type"] = "string"
    if read.pop("nullable", False) is True:
        read["type"] = [read.get("type", "object"), "null"]
        if "enum" in read:
            read["enum"] = [*read["enum"], None]
    return read
