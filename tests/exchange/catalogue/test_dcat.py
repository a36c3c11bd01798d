"""The DCAT-AP record holds what the profile's SHACL shapes ask for.

No SHACL engine is among the project's dependencies: the shapes' counts and kinds of node are read here from the file
itself, which is of one regular form, and held against the record, whose terms are written with their prefixes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exchange.catalogue.dcat import record_of
from exchange.catalogue.description import describe
from providers.manifest import manifests

BASE = "https://accord.example"
LITERAL = "@value"


@dataclass(frozen=True)
class Constraint:
    path: str
    least: int
    most: int | None
    kind: str | None


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return record_of([describe(one, base=BASE) for one in manifests().values()], base=BASE)


def shapes_of(file: Path) -> dict[str, list[Constraint]]:
    """Constraints by target class."""
    found: dict[str, list[Constraint]] = {}
    for shape in re.split(r"(?m)^:\w+\s*$", file.read_text())[1:]:
        target = re.search(r"sh:targetClass (\S+)", shape)
        if target is not None:
            found.setdefault(target[1], []).extend(_constraints(shape))
    return found


def _constraints(shape: str) -> Iterator[Constraint]:
    for block in re.findall(r"\[(.*?)\]", shape, re.DOTALL):
        path = re.search(r"sh:path (\S+?)\s*;?\s*$", block, re.MULTILINE)
        least, most = re.search(r"sh:minCount (\d+)", block), re.search(r"sh:maxCount (\d+)", block)
        kind = re.search(r"sh:nodeKind sh:(\w+)", block)
        if path is not None:
            yield Constraint(path[1], int(least[1]) if least else 0, int(most[1]) if most else None, kind and kind[1])


def nodes_of(value: object) -> Iterator[Mapping[str, Any]]:
    """Every node of the record that says its class."""
    if isinstance(value, list):
        for one in value:
            yield from nodes_of(one)
    elif isinstance(value, dict):
        if "@type" in value:
            yield value
        for one in value.values():
            yield from nodes_of(one)


def faults(record: Mapping[str, Any], shapes: Mapping[str, list[Constraint]]) -> list[str]:
    return [
        f"{node['@type']} {one.path}"
        for node in nodes_of(record)
        for one in shapes.get(node["@type"], [])
        if not _holds(node.get(one.path, []), one)
    ]


def _holds(value: object, constraint: Constraint) -> bool:
    values = value if isinstance(value, list) else [value]
    if not constraint.least <= len(values) <= (constraint.most or len(values)):
        return False
    is_literal = [isinstance(one, str) or LITERAL in one for one in values]
    return constraint.kind is None or all(one == (constraint.kind == "Literal") for one in is_literal)


def test_every_mandatory_property_is_there_in_the_kind_that_the_shapes_ask_for(record, reference):
    shapes = shapes_of(reference / "dcat-ap" / "shapes.ttl")
    classes = {node["@type"] for node in nodes_of(record)}
    assert classes == {"dcat:Catalog", "dcat:DataService", "dcat:Dataset", "dcat:Distribution", "foaf:Agent"}
    assert all(any(one.least for one in shapes[name]) for name in classes)
    assert faults(record, shapes) == []


@pytest.mark.parametrize("gone", ["dct:title", "dct:description", "dct:publisher"])
def test_the_check_notices_what_is_missing(record, reference, gone):
    shapes = shapes_of(reference / "dcat-ap" / "shapes.ttl")
    less = {name: value for name, value in record.items() if name != gone}
    assert faults(less, shapes) == [f"dcat:Catalog {gone}"]


def test_the_check_notices_a_text_in_the_place_of_a_link(record, reference):
    shapes = shapes_of(reference / "dcat-ap" / "shapes.ttl")
    service = {**record["dcat:service"], "dcat:endpointURL": BASE}
    assert faults({**record, "dcat:service": service}, shapes) == ["dcat:DataService dcat:endpointURL"]


def test_every_dataset_is_in_the_record_and_is_said_to_be_restricted(record):
    datasets = record["dcat:dataset"]
    assert [one["dct:identifier"] for one in datasets] == list(manifests())
    assert {one["dct:accessRights"]["@id"].rpartition("/")[2] for one in datasets} == {"RESTRICTED"}
    served = [one["@id"] for one in record["dcat:service"]["dcat:servesDataset"]]
    assert served == [one["@id"] for one in datasets]
