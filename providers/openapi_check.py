"""A manifest held against its holder's OpenAPI file: each difference is a line that names file and key. Pure."""

from collections.abc import Iterator

from providers.adapters.api_particulier import beside
from providers.model import Field, Manifest
from providers.openapi_reader import HolderContract, HolderField, HolderParameter, HolderPath, OpenapiError
from providers.vocabulary import COMPANY_NUMBERS, UNKNOWN, VOCABULARIES, Vocabulary, given_names_of

_COMPATIBLE = frozenset({("date", "string"), ("string", "date"), ("number", "integer")})
"""(the manifest's, the holder's) types that differ and agree all the same."""


def differences(manifest: Manifest, contract: HolderContract, *, name: str) -> list[str]:
    """What the manifest in the file ``name`` says and the holder's file does not, or says otherwise."""
    try:
        path = contract.path(manifest.path, items=manifest.items)
    except OpenapiError as error:
        return [f"{name}: path: {error}"]
    words = VOCABULARIES.get(manifest.adapter, UNKNOWN)
    found = [*_fields(manifest, path), *_identity(manifest, path, words), *_parameters(manifest, path, words)]
    found += [*_extras(manifest, path), *_identifiers(manifest, contract)]
    return [f"{name}: {line}" for line in found]


def _fields(manifest: Manifest, path: HolderPath) -> Iterator[str]:
    for name, field in manifest.fields.items():
        where, holders = f"fields.{name!r}", path.fields.get(name)
        if holders is None:
            yield f"{where}: not in the holder's answer"
        else:
            yield from (f"{where}.{line}" for line in _field(field, holders))


def _field(field: Field, holders: HolderField) -> Iterator[str]:
    if field.type != holders.type and (field.type, holders.type) not in _COMPATIBLE:
        yield f"type: {field.type}, and the holder's is {holders.type}"
    if holders.nullable and not field.nullable:
        yield "nullable: the holder's may be null"
    if field.many != holders.many:
        yield f"many: the holder's is {'a list' if holders.many else 'no list'}"
    examples = field.example if isinstance(field.example, list) else [field.example]
    if holders.allowed and any(one is not None and one not in holders.allowed for one in examples):
        yield "example: not a value that the holder gives"


def _identity(manifest: Manifest, path: HolderPath, words: Vocabulary) -> Iterator[str]:
    if manifest.subject != "citizen":
        return
    for part in manifest.identity:
        names = words.identity.get(part, ())
        if names and not any(name in path.parameters for name in names):
            yield f"identity: the holder takes no {names[0]} ({part})"
    most = given_names_of(path, words)
    if "given_names" in manifest.identity and most is not None and manifest.given_names > most:
        yield f"given_names: the holder takes at most {most}"


def _parameters(manifest: Manifest, path: HolderPath, words: Vocabulary) -> Iterator[str]:
    for name, one in manifest.parameters.items():
        holders = path.parameters.get(name)
        if holders is None:
            yield f"parameters.{name!r}: the holder takes no such parameter"
        elif holders.required and not one.required:
            yield f"parameters.{name!r}.required: the holder requires it"
    for holders in path.parameters.values():
        if holders.required and not _is_given(holders, manifest, words):
            yield f"parameters: the holder requires {holders.name}"


def _identifiers(manifest: Manifest, contract: HolderContract) -> Iterator[str]:
    """Asked by each of them, the holder answers as it does to the manifest's own path."""
    for name in manifest.identifiers:
        where = f"identifiers.{name!r}"
        try:
            path = contract.path(beside(manifest.path, name), items=manifest.items)
        except OpenapiError as error:
            yield f"{where}: {error}"
            continue
        if name not in path.parameters:
            yield f"{where}: the holder takes no such parameter"
        yield from (f"{where}: {line}" for line in _fields(manifest, path))


def _is_given(holders: HolderParameter, manifest: Manifest, words: Vocabulary) -> bool:
    told = {name for part in manifest.identity for name in words.identity.get(part, ())}
    return holders.name in told | words.own | manifest.parameters.keys() | COMPANY_NUMBERS


def _extras(manifest: Manifest, path: HolderPath) -> Iterator[str]:
    yield from (f"links: no {name!r} in the holder's answer" for name in sorted(manifest.links - path.links))
    yield from (f"meta: no {name!r} in the holder's answer" for name in sorted(manifest.meta - path.meta))
