"""API Particulier: who the citizen is, as far as the manifest says it, in; the manifest's record out. Pure.

It fits every holder of this form: ``GET`` with the identity or the manifest's parameters, ``{data, links, meta}`` back.
Parameters and error codes: the State's OpenAPI file of API Particulier and its table of errors.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from openapi.fields import FRANCE, PivotIdentity
from providers.adapters.apistration import BY_STATUS, Errors
from providers.confirmation import confirms
from providers.errors import (
    AnswerInvalid,
    BadInput,
    HolderBusy,
    HolderFailed,
    HolderRefused,
    HolderTimeout,
    HolderUnreachable,
    NotComputable,
    NotIdentified,
    UnknownCitizen,
)
from providers.model import IdentityPart, Manifest
from providers.port import Answer, HolderRequest, IdentityMissing, Query, Send
from providers.record import RecordInvalid, RecordReader

PARAMETERS: Mapping[IdentityPart, tuple[str, ...]] = {
    "family_name": ("nomNaissance",),
    "preferred_username": ("nomUsage",),
    "given_names": ("prenoms[]",),
    "birthdate": ("anneeDateNaissance", "moisDateNaissance", "jourDateNaissance"),
    "gender": ("sexeEtatCivil",),
    "birthcountry": ("codeCogInseePaysNaissance",),
    "birthplace": ("codeCogInseeCommuneNaissance",),
}
"""How this API calls the parts of an identity."""
OWN_PARAMETERS = frozenset({"recipient"})
"""What it is always told besides."""

_SEXES = {"female": "F", "male": "M"}
_LONGEST_EXTRA = 2_048


class ApiParticulier:
    """The adapter of one dataset."""

    def __init__(self, manifest: Manifest, *, clock: Callable[[], float] = time.time) -> None:
        self._manifest = manifest
        self._reader = RecordReader(manifest)
        self._clock = clock

    async def fetch(self, query: Query, send: Send) -> Answer:
        """Ask for one citizen. Raises :class:`providers.errors.ProviderError`."""
        reply = await send(request_of(self._manifest, query))
        if reply.status != 200:  # noqa: PLR2004  # HTTP's OK
            raise _ERRORS.of(self._manifest.holder, reply, now=self._clock())
        try:
            body = orjson.loads(reply.body)
            self._confirm(body["data"], query)
            record = self._reader.read(body["data"], query.fields)
            links, meta = (_named(body.get(key), kept) for key, kept in self._extras())
        except (ValueError, TypeError, KeyError, AttributeError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()), links, meta)

    def _confirm(self, data: object, query: Query) -> None:
        """An answer to a question that named her otherwise is about the citizen who agreed, or is not read."""
        fields = _confirming(self._manifest, query)
        if not fields or (query.identity is None and query.identifier is not None):
            return
        record = self._reader.read(data, tuple(fields.values()))
        if query.identity is None or not confirms(fields, record, query.identity):
            raise NotIdentified(self._manifest.holder)

    def _extras(self) -> tuple[tuple[str, frozenset[str]], ...]:
        return (("links", self._manifest.links), ("meta", self._manifest.meta))


def request_of(manifest: Manifest, query: Query) -> HolderRequest:
    """The request that a question becomes."""
    if query.identity is None and query.identifier is None and (manifest.identity or manifest.confirms):
        raise IdentityMissing(query.dataset)
    path = manifest.path if query.identifier is None else beside(manifest.path, query.identifier)
    pairs = [("recipient", str(query.recipient))]
    if query.identity is not None and query.identifier is None:
        pairs += identity_parameters(manifest, query.identity)
    for name, value in query.parameters.items():
        if (place := f"{{{name}}}") in path:
            if not value.strip("."):
                # Nothing is left of a path by a value such as '..'.
                raise BadInput(manifest.holder)
            path = path.replace(place, quote(value, safe=""))
        elif name.endswith("[]"):
            pairs += [(name, one) for one in value.split(",")]
        else:
            pairs.append((name, value))
    return HolderRequest(path, tuple(pairs))


def beside(path: str, last: str) -> str:
    """The path of the same dataset that ends with ``last``: this API names there what it is asked by."""
    return f"{path.rpartition('/')[0]}/{last}"


def _confirming(manifest: Manifest, query: Query) -> Mapping[IdentityPart, str]:
    """What must agree, of the way she is asked about."""
    by = None if query.identifier is None else manifest.identifiers.get(query.identifier)
    return manifest.confirms if by is None else by.confirms


def identity_parameters(manifest: Manifest, identity: PivotIdentity) -> Iterator[tuple[str, str]]:
    """What the manifest says of her; what is unknown (``00``, no given name) is left out."""
    for part in manifest.identity:
        names = PARAMETERS[part]
        if part == "given_names":
            yield from ((names[0], one) for one in identity.given_names[: manifest.given_names])
        elif part == "birthdate":
            yield from _birthdate(identity, names)
        elif (value := _single(part, identity)) is not None:
            yield names[0], value


def _single(part: IdentityPart, identity: PivotIdentity) -> str | None:
    if part == "gender":
        return _SEXES[identity.gender]
    if part == "birthplace" and identity.birthcountry != FRANCE:
        return None
    return getattr(identity, part) or None


def _birthdate(identity: PivotIdentity, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if identity.birthdate is None:
        return
    for name, part in zip(names, identity.birthdate.split("-"), strict=True):
        if (number := int(part)) != 0:
            yield name, str(number)


def _named(table: Any, kept: frozenset[str]) -> Mapping[str, object]:
    """The texts, numbers and booleans of ``links`` or ``meta`` that the manifest names, and nothing else."""
    if not kept:
        return {}
    return {name: table[name] for name in sorted(kept) if name in table and _is_plain(table[name])}


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) <= _LONGEST_EXTRA)


_ERRORS = Errors(
    by_status={**BY_STATUS, 404: UnknownCitizen},
    by_code={
        "00355": NotIdentified,
        "00391": NotIdentified,
        "23502": NotComputable,
        "31501": HolderUnreachable,
        "31502": HolderUnreachable,
        "31503": HolderBusy,
        "39400": NotComputable,
    },
    by_subcode={
        "000": HolderFailed,
        "001": HolderUnreachable,
        "002": HolderTimeout,
        "003": UnknownCitizen,
        "004": HolderUnreachable,
        "005": HolderRefused,
        "006": HolderFailed,
        "007": UnknownCitizen,
        "008": HolderBusy,
        "009": HolderUnreachable,
        "010": HolderFailed,
        "011": HolderUnreachable,
        "015": NotIdentified,
        "020": HolderUnreachable,
        "999": HolderFailed,
    },
)
