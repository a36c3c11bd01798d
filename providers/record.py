"""A holder's record held to its manifest: known fields of the announced type pass, everything else stays out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from providers.model import Field, Manifest

MAX_ITEMS = 100
"""No list of a record is longer; a household is not."""


class RecordInvalid(ValueError):
    """The record has not the announced form; the message names the path, never the value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The manifest's paths as a tree: an object's members, and whether it may be null."""

    nullable: bool
    members: "dict[str, Shape | Field]" = field(default_factory=dict)


class RecordReader:
    """Reads records of one dataset: the fields that are asked for, and nothing else."""

    def __init__(self, manifest: Manifest) -> None:
        self._fields = manifest.fields
        self._nullable = nullable_objects(manifest)
        self._shape = lru_cache(maxsize=1024)(self._shape_of)

    def read(self, data: object, fields: tuple[str, ...]) -> dict[str, object]:
        """The record with these of the manifest's fields. Raises :class:`RecordInvalid`."""
        if not isinstance(data, dict):
            raise RecordInvalid("data: an object was announced")
        return _object(self._shape(fields), data)

    def _shape_of(self, fields: tuple[str, ...]) -> Shape:
        whole = Shape(nullable=False)
        for one in (self._fields[path] for path in fields if path in self._fields):
            node, place = whole, ""
            *parents, last = one.path.split(".")
            for parent in parents:
                place = f"{place}.{parent}" if place else parent
                inner = node.members.setdefault(parent, Shape(place in self._nullable))
                # A manifest has no field inside another.
                node = cast("Shape", inner)
            node.members[last] = one
        return whole


def nullable_objects(manifest: Manifest) -> frozenset[str]:
    """The paths of objects that may be null as a whole: those of which every field may."""
    places = {path[:end] for path in manifest.fields for end in _dots(path)}
    return frozenset(
        place
        for place in places
        if all(one.nullable for path, one in manifest.fields.items() if path.startswith(f"{place}."))
    )


def _dots(path: str) -> list[int]:
    return [place for place, character in enumerate(path) if character == "."]


def _object(shape: Shape, data: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _value(inner, data[key]) if isinstance(inner, Field) else _nested(inner, data[key], key)
        for key, inner in shape.members.items()
        if key in data
    }


def _nested(shape: Shape, value: object, key: str) -> object:
    if isinstance(value, dict):
        return _object(shape, value)
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        return [_item(shape, item, key) for item in value]
    if value is None and shape.nullable:
        return None
    raise RecordInvalid(f"{key}: an object or a list of objects was announced")


def _item(shape: Shape, value: object, key: str) -> object:
    if isinstance(value, dict):
        return _object(shape, value)
    if value is None and shape.nullable:
        return None
    raise RecordInvalid(f"{key}: a list of objects was announced")


def _value(field: Field, value: object) -> object:
    if value is None and field.nullable:
        return value
    if field.many:
        if isinstance(value, list) and len(value) <= MAX_ITEMS and all(field.fits(item) for item in value):
            return value
    elif field.fits(value):
        return value
    raise RecordInvalid(f"{field.path}: {field.type} was announced")
