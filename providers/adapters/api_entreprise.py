"""API Entreprise v3 and v4: a company's number in, the manifest's record out. Pure.

Parameters and error codes: the State's OpenAPI file of API Entreprise and its table of errors. ``recipient``,
``context`` and ``object`` are required on every call; the number stands in the path.
"""

import re
import time
from collections.abc import Callable, Mapping

import orjson

from openapi.fields import SIREN_DIGITS, SIRET_DIGITS
from providers.adapters.apistration import BY_STATUS, Errors, extras
from providers.errors import (
    AnswerInvalid,
    HolderBusy,
    HolderFailed,
    HolderTimeout,
    HolderUnreachable,
    NotDisclosed,
    NotIssued,
    UnderReview,
    UnknownCompany,
)
from providers.model import Manifest
from providers.port import Answer, HolderRequest, IdentityMissing, Query, Send
from providers.record import RecordInvalid, RecordReader

MAX_ITEMS = 100
"""No list of a holder's is longer; the longest are a company's certificates."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_ERRORS = Errors(
    by_status={**BY_STATUS, 404: UnknownCompany, 410: UnknownCompany, 451: NotDisclosed},
    by_code={
        "02502": UnknownCompany,  # Infogreffe: outside of the RCS
        "03501": NotIssued,  # DGFiP: unknown, or not in order
        "03510": HolderBusy,
        "04501": UnderReview,  # URSSAF: an agent has to look
        "04503": NotIssued,
        "31503": HolderBusy,
    },
    by_subcode={
        "001": HolderUnreachable,
        "002": HolderTimeout,
        "003": UnknownCompany,
        "004": HolderUnreachable,
        "005": NotDisclosed,
        "007": UnknownCompany,
        "008": HolderBusy,
        "011": HolderFailed,
        "020": HolderUnreachable,
    },
)


class ApiEntreprise:
    """The adapter of one dataset."""

    def __init__(self, manifest: Manifest, *, clock: Callable[[], float] = time.time) -> None:
        self._manifest = manifest
        self._reader = RecordReader(manifest)
        self._clock = clock

    async def fetch(self, query: Query, send: Send) -> Answer:
        """Ask about one company. Raises :class:`providers.errors.ProviderError`."""
        reply = await send(HolderRequest(path_of(self._manifest, query), tuple(parameters(self._manifest, query))))
        if reply.status != 200:  # noqa: PLR2004  # HTTP's OK
            raise _ERRORS.of(self._manifest.holder, reply, now=self._clock())
        try:
            envelope = orjson.loads(reply.body)
            record = self._reader.read(_data(envelope, self._manifest.items), query.fields)
            links = extras(envelope, "links", self._manifest.links)
            meta = extras(envelope, "meta", self._manifest.meta)
        except (ValueError, TypeError, KeyError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()), links, meta)


def takes_siret(manifest: Manifest) -> bool:
    """Whether it is asked about one establishment: a SIREN does not say which."""
    return "{siret}" in manifest.path


def path_of(manifest: Manifest, query: Query) -> str:
    """The path with the company's number and the path's other parameters in it. Raises :class:`IdentityMissing`."""
    company = query.company
    if company is None or (takes_siret(manifest) and len(company) != SIRET_DIGITS):
        raise IdentityMissing(query.dataset)
    given = {**query.parameters, "siren": company[:SIREN_DIGITS], "siret": company}
    return _PLACEHOLDER.sub(lambda found: given[found[1]], manifest.path)


def parameters(manifest: Manifest, query: Query) -> list[tuple[str, str]]:
    """The query: who receives the data and why, then what the manifest asks for besides."""
    own = [(name, value) for name, value in query.parameters.items() if f"{{{name}}}" not in manifest.path]
    return [("recipient", query.recipient), ("context", query.context), ("object", query.object), *own]


def _data(envelope: Mapping[str, object], items: str | None) -> object:
    """The holder's ``data``; a list of ``{data, links, meta}`` becomes one object with the list's name."""
    data = envelope["data"]
    if items is None:
        return data
    if not isinstance(data, list) or len(data) > MAX_ITEMS:
        raise TypeError(items)
    return {items: [item["data"] for item in data]}
