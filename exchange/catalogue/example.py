"""An exchange as an example: a request, and an answer made from the manifest. Every value is made up. Pure."""

import json
from collections.abc import Iterator, Mapping

from consent.model import DETAIL_TYPE_PREFIX
from exchange.catalogue.doors import doors_of, grounds_of
from exchange.catalogue.schemas import Tree, company_numbers, tree_of
from exchange.masking import apply_mask, compile_mask
from providers.model import Field, FieldType, Manifest

NOBODY: Mapping[str, str] = {"siret": "00000000000000", "siren": "000000000"}
"""Numbers with a valid key that INSEE gives to no company."""
PURPOSE = "motif_exemple"
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
    "entry": "{…}",
    "receipt": "c2sp.org/tlog-proof@v1 …",
    "retrieved_at": 1_800_000_000,
}


def example_answer(manifest: Manifest, fields: tuple[str, ...] | None = None) -> dict[str, object]:
    """An answer that holds ``fields``, or every one; the holder's own examples stand where the manifest has some."""
    data = _object(tree_of(manifest), manifest, ())
    if fields is not None:
        data = apply_mask(compile_mask(fields), data)
    return {"data": data, "meta": {**_META, "provider": manifest.holder}}


def shown(manifest: Manifest) -> tuple[str, ...]:
    """The fields that the example asks for."""
    return tuple(manifest.fields)[:SHOWN]


def example_request(manifest: Manifest, *, base: str) -> str:
    """A command line that asks for :func:`shown` through Accord's own door; what begins with ``$`` is the caller's."""
    door = doors_of(manifest)[0]
    headers = ['--header "Authorization: Bearer $TOKEN"']
    if manifest.franceconnect_token:
        headers.append('--header "X-FranceConnect-OAuth: $FRANCECONNECT_TOKEN"')
    said = [_body(manifest)] if door.method == "POST" else [f'--data-urlencode "{one}"' for one in _query(manifest)]
    flag = "" if door.method == "POST" else "--get "
    return " \\\n  ".join((f'curl {flag}"{base}{door.path}"', *headers, *said))


def example_details(manifest: Manifest) -> dict[str, object]:
    """The ``authorization_details`` object that asks a citizen for :func:`shown`."""
    return {
        "type": DETAIL_TYPE_PREFIX + manifest.dataset,
        "datatypes": list(shown(manifest)),
        "purpose": PURPOSE,
        "recipient": NOBODY["siret"],
        "access": "once",
    }


def example_habilitation(manifest: Manifest) -> str:
    """What an operator writes into the registry file."""
    lines = {
        "id": "exemple",
        "organisation": NOBODY["siret"],
        "dataset": manifest.dataset,
        "fields": list(shown(manifest)),
        "legal_basis": manifest.legal_basis,
        "grounds": list(grounds_of(manifest)[:1]),
    }
    written = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in lines.items()]
    purpose = f'{{ code = "{PURPOSE}", fr = "Motif en français", en = "Reason in English" }}'
    dates = ("valid_from = 2026-01-01", "valid_until = 2026-12-31")
    return "\n".join(("[[habilitation]]", *written, f"purposes = [{purpose}]", *dates))


def _query(manifest: Manifest) -> Iterator[str]:
    yield f"fields={','.join(shown(manifest))}"
    if numbers := company_numbers(manifest):
        yield f"{numbers[0]}={NOBODY[numbers[0]]}"
        yield from (f"{name}={value}" for name, value in REASON.items())
    yield from (f"{name}=${_variable(name)}" for name in _required(manifest))


def _body(manifest: Manifest) -> str:
    """Between double quotes, so that the shell fills in what is the caller's."""
    parameters = {name: f"${_variable(name)}" for name in _required(manifest)}
    body = json.dumps({"fields": list(shown(manifest)), "parameters": parameters})
    return '--json "' + body.replace('"', '\\"') + '"'


def _required(manifest: Manifest) -> tuple[str, ...]:
    return tuple(name for name, one in manifest.parameters.items() if one.required)


def _variable(name: str) -> str:
    """``anneeScolaire`` as ``ANNEESCOLAIRE``."""
    return "".join(letter for letter in name.upper() if letter.isalnum())


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
