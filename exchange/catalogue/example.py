"""An exchange as an example: a request, and an answer made from the manifest. Every value is made up. Pure."""

from collections.abc import Mapping

from exchange.catalogue.doors import asks_for_a_company
from exchange.catalogue.schemas import Tree, company_numbers, tree_of
from providers.manifest import Field, FieldType, Manifest

NOBODY: Mapping[str, str] = {"siret": "00000000000000", "siren": "000000000"}
"""Numbers with a valid key that INSEE gives to no company."""
REASON: Mapping[str, str] = {"context": "Marché public", "object": "2026-017"}
SHOWN = 3
"""Fields that the example asks for; the whole answer would be long."""

_VALUES: Mapping[FieldType, object] = {
    "string": "exemple",
    "date": "2000-01-31",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
}
_META: Mapping[str, object] = {
    "access_id": "00000000-0000-4000-8000-000000000000",
    "index": 1,
    "receipt": "c2sp.org/tlog-proof@v1 …",
    "retrieved_at": 1_800_000_000,
}


def example_answer(manifest: Manifest) -> dict[str, object]:
    """An answer that holds every field, or in which the holder's own examples stand for them."""
    data = _object(tree_of(manifest), manifest, ())
    return {"data": data, "meta": {**_META, "provider": manifest.holder}}


def example_request(manifest: Manifest, *, base: str) -> str:
    """A command line that asks for it through Accord's own door."""
    fields = ",".join(list(manifest.fields)[:SHOWN])
    said = [f"fields={fields}"]
    if asks_for_a_company(manifest):
        said += [f"{name}={NOBODY[name]}" for name in company_numbers(manifest)]
        said += [f"{name}={value}" for name, value in REASON.items()]
    lines = [f'curl --get "{base}/v1/data/{manifest.dataset}"']
    lines += ['--header "Authorization: Bearer $TOKEN"', *(f'--data-urlencode "{one}"' for one in said)]
    return " \\\n  ".join(lines)


def _object(tree: Tree, manifest: Manifest, place: tuple[str, ...]) -> dict[str, object]:
    return {
        name: _value(inner) if isinstance(inner, Field) else _inner(inner, manifest, (*place, name))
        for name, inner in tree.items()
    }


def _inner(tree: Tree, manifest: Manifest, place: tuple[str, ...]) -> object:
    one = _object(tree, manifest, place)
    return [one] if ".".join(place) == manifest.items else one


def _value(field: Field) -> object:
    if field.example is not None:
        return field.example
    value = _VALUES[field.type]
    return [value] if field.many else value
