"""A holder's OpenAPI file (3.0 or 3.1), read for what a manifest needs: a path's parameters, the fields of its data.

Pure: bytes in, dataclasses out. ``$ref`` inside the file is followed, ``allOf`` is joined; of ``oneOf`` and ``anyOf``
the fields of every branch are taken, as nullable.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias, cast

import yaml

from providers.model import FieldType

Json: TypeAlias = Mapping[str, Any]

LARGEST = 20_000_000
DEEPEST = 12
MOST_FIELDS = 2_000
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXAMPLE_LENGTH = 200


class OpenapiError(Exception):
    """The file cannot be read as OpenAPI, or has no such path; the message says which."""


@dataclass(frozen=True, slots=True)
class HolderField:
    """A field of the holder's ``data``; ``path`` crosses lists as a manifest's does."""

    path: str
    type: FieldType
    nullable: bool
    many: bool
    title: str
    example: object = None
    allowed: tuple[object, ...] = ()
    """The values there are, when the file says so."""


@dataclass(frozen=True, slots=True)
class HolderParameter:
    """A parameter in the path or the query."""

    name: str
    place: str
    required: bool
    description: str
    pattern: str | None = None
    most: int | None = None
    """Of a list: how many."""
    allowed: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class HolderPath:
    """One ``GET`` of the holder's."""

    path: str
    title: str
    parameters: Mapping[str, HolderParameter]
    fields: Mapping[str, HolderField]
    links: frozenset[str]
    meta: frozenset[str]
    items: str | None = None
    """Under which name the fields stand, where ``data`` is a list of answers."""
    retired: bool = False


@dataclass(frozen=True, slots=True)
class HolderContract:
    """The whole file, read path by path."""

    document: Json

    def paths(self) -> list[str]:
        """Every path that can be asked, sorted."""
        paths = _mapping(self.document.get("paths"))
        return sorted(path for path, item in paths.items() if isinstance(_mapping(item).get("get"), dict))

    def path(self, path: str, *, items: str | None = None) -> HolderPath:
        """What the file says of one path. Raises :class:`OpenapiError` naming it.

        ``items``: the name under which the fields stand of those whose ``data`` is a list of answers.
        """
        item = _mapping(_mapping(self.document.get("paths")).get(path))
        operation = item.get("get")
        if not isinstance(operation, dict):
            raise OpenapiError(f"{path}: no GET in the holder's file")
        try:
            return self._read(path, item, operation, items)
        except (TypeError, ValueError, AttributeError, KeyError):
            raise OpenapiError(f"{path}: not as OpenAPI says") from None

    def _read(self, path: str, item: Json, operation: Json, items: str | None) -> HolderPath:
        answer = _Schemas(self.document, path).answer(operation)
        data = answer.properties("data")
        is_list = items is not None and bool(answer.inner(data.get("items"), "data"))
        name = items if is_list else None
        if is_list:
            data = answer.inner(data["items"], "data")
        found = answer.fields(data, name or "", nullable=False, depth=0)
        fields = {one.path: one for one in islice(found, MOST_FIELDS + 1)}
        if len(fields) > MOST_FIELDS:
            raise OpenapiError(f"{path}: more than {MOST_FIELDS} fields")
        return HolderPath(
            path=path,
            title=_line(operation.get("summary") or path),
            parameters={one.name: one for one in _parameters(answer, [*_list(item), *_list(operation)])},
            fields=fields,
            links=frozenset(answer.members("links")),
            meta=frozenset(answer.members("meta")),
            items=name,
            retired=bool(operation.get("deprecated")),
        )


def read_openapi(content: bytes, *, name: str) -> HolderContract:
    """The contract in a YAML or JSON file. Raises :class:`OpenapiError` naming ``name``."""
    if len(content) > LARGEST:
        raise OpenapiError(f"{name}: larger than {LARGEST} bytes")
    try:
        document = yaml.load(content, _YAML)  # noqa: S506  # the safe loader, in C where it is there
    except (yaml.YAMLError, ValueError, RecursionError):
        raise OpenapiError(f"{name}: neither YAML nor JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise OpenapiError(f"{name}: no OpenAPI file: it has no paths")
    return HolderContract(document)


class _Schemas:
    """The schemas of one answer."""

    def __init__(self, document: Json, path: str, schema: Json | None = None) -> None:
        self._document = document
        self._path = path
        self._schema = schema or {}

    def answer(self, operation: Json) -> "_Schemas":
        """The schema of status 200."""
        response = self.resolved(_mapping(operation.get("responses")).get("200"))
        schema = _mapping(_mapping(response.get("content")).get("application/json")).get("schema")
        return _Schemas(self._document, self._path, self.resolved(schema))

    def properties(self, name: str) -> Json:
        """The schema of one member of the answer."""
        found = self.inner(self._schema, name)
        if name == "data" and not found:
            raise OpenapiError(f"{self._path}: no 'data' in its answer of status 200")
        return found

    def inner(self, schema: object, name: str) -> Json:
        """The schema of one member of another."""
        return self.resolved(_mapping(self.resolved(schema).get("properties")).get(name))

    def members(self, name: str) -> list[str]:
        """The names in one member of the answer."""
        return [str(key) for key in _mapping(self.properties(name).get("properties"))]

    def resolved(self, schema: object, depth: int = 0) -> Json:
        """The schema itself, with its references followed and its parts joined."""
        found = _mapping(schema)
        if depth > DEEPEST:
            raise OpenapiError(f"{self._path}: references deeper than {DEEPEST}")
        if "$ref" in found:
            found = self.resolved(self._referred(str(found["$ref"])), depth + 1)
        for part in _list_of(found, "allOf"):
            inner = self.resolved(part, depth + 1)
            joined = {**_mapping(found.get("properties")), **_mapping(inner.get("properties"))}
            found = {**inner, **found, **({"properties": joined} if joined else {})}
        return found

    def _referred(self, reference: str) -> object:
        node: object = self._document
        if not reference.startswith("#/"):
            raise OpenapiError(f"{self._path}: {reference} is outside the file")
        for name in reference[2:].split("/"):
            node = _mapping(node).get(name.replace("~1", "/").replace("~0", "~"))
        if node is None:
            raise OpenapiError(f"{self._path}: {reference} is not in the file")
        return node

    def fields(self, schema: Json, path: str, *, nullable: bool, depth: int) -> Iterator[HolderField]:
        """The leaves below ``schema``."""
        if depth > DEEPEST:
            raise OpenapiError(f"{self._path}: {path} is deeper than {DEEPEST}")
        nullable = nullable or _may_be_null(schema)
        if branches := [*_list_of(schema, "oneOf"), *_list_of(schema, "anyOf")]:
            yield from self._branches(schema, branches, path, depth)
        elif properties := _mapping(schema.get("properties")):
            for name, inner in properties.items():
                below = f"{path}.{name}" if path else str(name)
                yield from self.fields(self.resolved(inner), below, nullable=nullable and bool(path), depth=depth + 1)
        elif "items" in schema:
            yield from self._list(schema, path, nullable=nullable, depth=depth)
        elif path and (kind := _type_of(schema)) is not None:
            yield _leaf(schema, path, kind, nullable=nullable)

    def _branches(self, schema: Json, branches: list[object], path: str, depth: int) -> Iterator[HolderField]:
        seen: dict[str, HolderField] = {}
        for branch in branches:
            inner = self.resolved(
                {**{key: schema[key] for key in schema if key not in _CHOICES}, **self.resolved(branch)}
            )
            for one in self.fields(inner, path, nullable=True, depth=depth + 1):
                seen.setdefault(one.path, one)
        yield from (replace(one, nullable=True) for one in seen.values())

    def _list(self, schema: Json, path: str, *, nullable: bool, depth: int) -> Iterator[HolderField]:
        for one in self.fields(self.resolved(schema["items"]), path, nullable=nullable, depth=depth + 1):
            # A list of objects is crossed; a list of values is a field of many.
            whole = one.path == path
            title = _line(schema.get("title") or schema.get("description")) or one.title
            first = next(iter(_list_of(schema, "example")), None)
            example = one.example if first is None else _example({"example": first}, one.type)
            yield replace(one, many=True, title=title, example=example) if whole else one


_CHOICES = ("oneOf", "anyOf")


def _leaf(schema: Json, path: str, kind: FieldType, *, nullable: bool) -> HolderField:
    example = _example(schema, kind)
    allowed = tuple(one for one in _list_of(schema, "enum") if one is not None)
    if example is None and allowed:
        example = allowed[0]
    title = _line(schema.get("title") or schema.get("description"))
    return HolderField(path, kind, nullable, many=False, title=title or path, example=example, allowed=allowed)


def _type_of(schema: Json) -> FieldType | None:
    said = schema.get("type")
    kinds = [said] if isinstance(said, str) else [one for one in said or () if one != "null"]
    kind = kinds[0] if len(kinds) == 1 else None
    # API Entreprise's file says 'date' where OpenAPI has a string of that format.
    if kind == "date" or (kind == "string" and (schema.get("format") == "date" or _is_date(schema.get("example")))):
        return "date"
    return cast("FieldType", kind) if kind in ("string", "integer", "number", "boolean") else None


def _may_be_null(schema: Json) -> bool:
    return schema.get("nullable") is True or "null" in (schema.get("type") or ()) or None in _list_of(schema, "enum")


def _is_date(value: object) -> bool:
    # YAML reads an unquoted date as one.
    return _DATE.fullmatch(str(value)) is not None


def _example(schema: Json, kind: FieldType) -> object:
    value = schema.get("example")
    if kind == "date":
        return str(value) if _is_date(value) else None
    if kind == "string":
        return value if isinstance(value, str) and 0 < len(value) <= _EXAMPLE_LENGTH else None
    wanted = {"integer": (int,), "number": (int, float), "boolean": (bool,)}[kind]
    return value if type(value) in wanted else None


def _parameters(schemas: _Schemas, rows: list[object]) -> Iterator[HolderParameter]:
    for row in rows:
        one = schemas.resolved(row)
        if one.get("in") not in ("query", "path") or not isinstance(one.get("name"), str):
            continue
        schema = schemas.resolved(one.get("schema"))
        yield HolderParameter(
            name=one["name"],
            place=one["in"],
            required=bool(one.get("required")),
            description=_line(one.get("description") or one["name"]),
            pattern=schema.get("pattern"),
            most=schema.get("maxItems"),
            allowed=tuple(_list_of(schema, "enum")),
        )


def _line(text: object) -> str:
    """The first sentence or line, without Markdown's marks."""
    plain = re.sub(r"[*_`\"]{2,}|`", "", str(text or "")).strip().strip('"').strip()
    first = plain.split("\n", 1)[0].split(". ", 1)[0].strip()
    return first.rstrip(".")


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(holder: Json) -> list[object]:
    return _list_of(holder, "parameters")


def _list_of(holder: Json, key: str) -> list[object]:
    found = holder.get(key)
    return found if isinstance(found, list) else []
