"""A holder's record held to its manifest: known fields of the announced type pass, everything else stays out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType
from typing import cast

from providers.model import PYTHON_TYPES, Field, Manifest

MAX_ITEMS = 100
"""No list of a record is longer; a household is not."""

_NO_TYPE: frozenset[type] = frozenset()


class RecordInvalid(ValueError):
    """The record has not the announced form; the message names the path, never the value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The manifest's paths as a tree: an object's members, and whether it may be null."""

    nullable: bool
    members: "dict[str, tuple[frozenset[type], Shape | Field]]" = field(default_factory=dict)
    """By name: the types of its values that pass as they are, and what any other is held to."""


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
                _, inner = node.members.setdefault(parent, (_NO_TYPE, Shape(place in self._nullable)))
                # A manifest has no field inside another.
                node = cast("Shape", inner)
            node.members[last] = (_plain(one), one)
        return whole


def _plain(field: Field) -> frozenset[type]:
    """The types of which every value is one of this field's: nothing but its type has to be looked at."""
    if field.many or field.type == "date":
        return _NO_TYPE
    return frozenset((*PYTHON_TYPES[field.type], NoneType) if field.nullable else PYTHON_TYPES[field.type])


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
    record: dict[str, object] = {}
    for key, (plain, inner) in shape.members.items():
        if key in data:
            value = data[key]
            # Most values are plain: a look at their type costs a tenth of a call.
            record[key] = value if type(value) in plain else _member(inner, value, key)
    return record


def _member(inner: Shape | Field, value: object, key: str) -> object:
    return _value(inner, value) if isinstance(inner, Field) else _nested(inner, value, key)


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
