"""A holder's record held to its manifest: known fields of the announced type pass, everything else stays out. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from providers.manifest import Field, Manifest

Shape: TypeAlias = "Mapping[str, Shape | Field]"
"""The manifest's paths as a tree."""

MAX_ITEMS = 1_000
"""No list of a record is longer: the establishments of a company are, and a household is not."""


class RecordInvalid(ValueError):
    """The record has not the announced form; the message names the path, never the value."""


class RecordReader:
    """Reads records of one dataset: the fields that are asked for, and nothing else."""

    def __init__(self, manifest: Manifest) -> None:
        self._fields = manifest.fields
        self._shape = lru_cache(maxsize=1024)(self._shape_of)

    def read(self, data: object, fields: tuple[str, ...]) -> dict[str, object]:
        """The record with these of the manifest's fields. Raises :class:`RecordInvalid`."""
        if not isinstance(data, dict):
            raise RecordInvalid("data: an object was announced")
        return _object(self._shape(fields), data)

    def _shape_of(self, fields: tuple[str, ...]) -> "Shape":
        shape: dict[str, object] = {}
        for field in (self._fields[path] for path in fields if path in self._fields):
            *parents, last = field.path.split(".")
            node = shape
            for parent in parents:
                node = node.setdefault(parent, {})  # type: ignore[assignment]  # the recursive shape is built in place
            node[last] = field
        return shape  # type: ignore[return-value]  # idem


def _object(shape: "Shape", data: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _scalar(inner, data[key]) if isinstance(inner, Field) else _nested(inner, data[key], key)
        for key, inner in shape.items()
        if key in data
    }


def _nested(shape: "Shape", value: object, key: str) -> object:
    if value is None and _is_nullable(shape):
        return None
    if isinstance(value, dict):
        return _object(shape, value)
    if isinstance(value, list) and len(value) <= MAX_ITEMS and all(isinstance(item, dict) for item in value):
        return [_object(shape, item) for item in value]
    raise RecordInvalid(f"{key}: an object or a list of objects was announced")


def _is_nullable(shape: "Shape") -> bool:
    """An object may be null where each of its fields may."""
    return all(inner.nullable if isinstance(inner, Field) else _is_nullable(inner) for inner in shape.values())


def _scalar(field: Field, value: object) -> object:
    if value is None and field.nullable:
        return value
    if field.many:
        if isinstance(value, list) and len(value) <= MAX_ITEMS and all(field.fits(item) for item in value):
            return value
    elif field.fits(value):
        return value
    raise RecordInvalid(f"{field.path}: {field.type} was announced")
