"""API Particulier: who the citizen is, as far as the manifest says it, in; the manifest's record out. Pure.

It fits every holder of this form: ``GET`` with the identity or the manifest's parameters, ``{data, links, meta}`` back.
Parameters and error codes: the State's OpenAPI file of API Particulier and its table of errors.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import TypeAlias
from urllib.parse import quote

import orjson

from openapi.fields import FRANCE, GIVEN_NAMES, PivotIdentity
from providers.adapters.apistration import BY_STATUS, Errors, extras
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

_Tell: TypeAlias = Callable[[PivotIdentity], str | None]
"""What this API is told of her under one name; nothing where it is unknown."""


def _given_name(number: int) -> _Tell:
    return lambda who: who.given_names[number] if number < len(who.given_names) else None


def _of_birthdate(begin: int, end: int) -> _Tell:
    """Year, month or day as a number; ``00`` is unknown."""
    return lambda who: who.birthdate[begin:end].lstrip("0") if who.birthdate else None


_SEXES = {"female": "F", "male": "M"}
_TOLD: Mapping[IdentityPart, tuple[tuple[str, _Tell], ...]] = {
    "family_name": (("nomNaissance", attrgetter("family_name")),),
    "preferred_username": (("nomUsage", attrgetter("preferred_username")),),
    "given_names": tuple(("prenoms[]", _given_name(number)) for number in range(GIVEN_NAMES)),
    "birthdate": (
        ("anneeDateNaissance", _of_birthdate(0, 4)),
        ("moisDateNaissance", _of_birthdate(5, 7)),
        ("jourDateNaissance", _of_birthdate(8, 10)),
    ),
    "gender": (("sexeEtatCivil", lambda who: _SEXES[who.gender]),),
    "birthcountry": (("codeCogInseePaysNaissance", attrgetter("birthcountry")),),
    "birthplace": (
        ("codeCogInseeCommuneNaissance", lambda who: who.birthplace if who.birthcountry == FRANCE else None),
    ),
}
PARAMETERS: Mapping[IdentityPart, tuple[str, ...]] = {part: tuple(dict(told)) for part, told in _TOLD.items()}
"""How this API calls the parts of an identity."""
OWN_PARAMETERS = frozenset({"recipient"})
"""What it is always told besides."""


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
            envelope = orjson.loads(reply.body)
            self._confirm(envelope["data"], query)
            record = self._reader.read(envelope["data"], query.fields)
            links = extras(envelope, "links", self._manifest.links)
            meta = extras(envelope, "meta", self._manifest.meta)
        except (ValueError, TypeError, KeyError, RecordInvalid):
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


def request_of(manifest: Manifest, query: Query) -> HolderRequest:
    """The request that a question becomes."""
    if query.identity is None and query.identifier is None and (manifest.identity or manifest.confirms):
        raise IdentityMissing(query.dataset)
    path = manifest.path if query.identifier is None else beside(manifest.path, query.identifier)
    pairs: list[tuple[str, str]] = [("recipient", query.recipient)]
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


def identity_parameters(manifest: Manifest, identity: PivotIdentity) -> list[tuple[str, str]]:
    """What the manifest says of her; what is unknown (``00``, no given name) is left out."""
    told = _told(manifest.identity, manifest.given_names)
    return [(name, value) for name, tell in told if (value := tell(identity))]


@cache
def _told(parts: tuple[IdentityPart, ...], given_names: int) -> Sequence[tuple[str, _Tell]]:
    """Of each of ``parts``, of her given names no more than so many."""
    return [one for part in parts for one in (_TOLD[part][:given_names] if part == "given_names" else _TOLD[part])]


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
