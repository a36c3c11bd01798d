"""Minimisation: only the permitted fields of a holder's record leave. Pure.

A mask is compiled once per set of fields and only ever copies what it names: a key that nobody named cannot pass.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

Mask: TypeAlias = "Mapping[str, Mask | None]"
"""Nested by path segment; ``None`` marks a field that passes whole."""


@lru_cache(maxsize=4096)
def compile_mask(fields: tuple[str, ...]) -> Mask:
    """``("a.b", "a.c")`` -> ``{"a": {"b": None, "c": None}}``. A parent named whole covers its children."""
    mask: dict[str, dict[str, object] | None] = {}
    for path in sorted(fields):
        _insert(mask, path.split("."))
    return mask  # type: ignore[return-value]  # the recursive shape is built in place


def apply_mask(mask: Mask, record: Mapping[str, object]) -> dict[str, object]:
    """The record reduced to the mask. Lists are crossed; a missing key stays missing."""
    return {key: _reduce(inner, record[key]) for key, inner in mask.items() if key in record}


def _reduce(mask: "Mask | None", value: object) -> object:
    if mask is None or value is None:
        return value
    if isinstance(value, Mapping):
        return apply_mask(mask, value)
    if isinstance(value, list):
        return [_reduce(mask, item) for item in value]
    # A scalar where fields were expected: nothing of it was named, so nothing of it leaves.
    return None


def _insert(mask: dict[str, dict[str, object] | None], segments: Iterable[str]) -> None:
    *parents, last = segments
    node: dict[str, object] = mask  # type: ignore[assignment]
    for segment in parents:
        inner = node.setdefault(segment, {})
        if inner is None:
            return
        node = inner  # type: ignore[assignment]
    node[last] = None
