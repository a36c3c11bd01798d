"""API Particulier v3, ``/identite`` paths: a pivot identity in, the manifest's record out. Pure.

Parameters and error codes: the State's OpenAPI file of API Particulier and its table of errors.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import orjson

from openapi.fields import FRANCE, PivotIdentity
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
    ProviderError,
    UnknownCitizen,
)
from providers.manifest import Manifest
from providers.port import Answer, HolderReply, HolderRequest, IdentityMissing, Query, Send
from providers.record import RecordInvalid, RecordReader

RETRY_SECONDS = 60
"""What a caller is told to wait when the holder does not say."""
LONGEST_RETRY = 86_400
GIVEN_NAMES = 3
"""The API takes the first three."""

_SEXES = {"female": "F", "male": "M"}


class ApiParticulier:
    """The adapter of one dataset."""

    def __init__(self, manifest: Manifest, *, clock: Callable[[], float] = time.time) -> None:
        self._manifest = manifest
        self._reader = RecordReader(manifest)
        self._clock = clock

    async def fetch(self, query: Query, send: Send) -> Answer:
        """Ask for one citizen. Raises :class:`providers.errors.ProviderError`."""
        reply = await send(HolderRequest(self._manifest.path, tuple(parameters(query))))
        if reply.status != 200:  # noqa: PLR2004  # HTTP's OK
            self._refuse(reply)
        try:
            record = self._reader.read(orjson.loads(reply.body)["data"], query.fields)
        except (ValueError, TypeError, KeyError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()))

    def _refuse(self, reply: HolderReply) -> NoReturn:
        raise _error(self._manifest.holder, reply, now=self._clock())


def parameters(query: Query) -> Iterator[tuple[str, str]]:
    """The query parameters of an identity; what is unknown (``00``, no given name) is left out."""
    identity = query.identity
    if identity is None:
        raise IdentityMissing(query.dataset)
    yield "recipient", query.recipient
    yield "nomNaissance", identity.family_name
    if identity.preferred_username:
        yield "nomUsage", identity.preferred_username
    for given_name in identity.given_names[:GIVEN_NAMES]:
        yield "prenoms[]", given_name
    yield from _birthdate(identity)
    yield "sexeEtatCivil", _SEXES[identity.gender]
    yield "codeCogInseePaysNaissance", identity.birthcountry
    if identity.birthplace and identity.birthcountry == FRANCE:
        yield "codeCogInseeCommuneNaissance", identity.birthplace


def _birthdate(identity: PivotIdentity) -> Iterator[tuple[str, str]]:
    if identity.birthdate is None:
        return
    names = ("anneeDateNaissance", "moisDateNaissance", "jourDateNaissance")
    for name, part in zip(names, identity.birthdate.split("-"), strict=True):
        if (number := int(part)) != 0:
            yield name, str(number)


_BY_CODE: Mapping[str, type[ProviderError]] = {"00355": NotIdentified, "23502": NotComputable, "37002": HolderTimeout}
_BY_STATUS: Mapping[int, type[ProviderError]] = {
    400: BadInput,
    401: HolderRefused,
    403: HolderRefused,
    404: UnknownCitizen,
    # The same question is under way: its answer is about to come.
    409: HolderBusy,
    422: BadInput,
    429: HolderBusy,
    500: HolderFailed,
    502: HolderFailed,
    503: HolderUnreachable,
    504: HolderUnreachable,
}
_PASSING = (HolderBusy, HolderFailed, HolderUnreachable, HolderTimeout)
"""Errors after which waiting helps."""


def _error(holder: str, reply: HolderReply, *, now: float) -> ProviderError:
    kind = _BY_CODE.get(_code(reply.body)) or _BY_STATUS.get(reply.status, AnswerInvalid)
    return kind(holder, retry_in=_retry_in(reply, now)) if kind in _PASSING else kind(holder)


def _code(body: bytes) -> str:
    """The code of the first error, or nothing: an error's body may be anything."""
    try:
        code = orjson.loads(body)["errors"][0]["code"]
    except (ValueError, TypeError, KeyError, IndexError):
        return ""
    return code if isinstance(code, str) else ""


def _retry_in(reply: HolderReply, now: float) -> int:
    """Seconds to wait: ``Retry-After`` in seconds, or ``RateLimit-Reset``, a Unix time at this holder."""
    after, reset = reply.headers.get("retry-after", ""), reply.headers.get("ratelimit-reset", "")
    if _is_number(after):
        return min(max(1, int(after)), LONGEST_RETRY)
    if _is_number(reset):
        return min(max(1, int(reset) - int(now)), LONGEST_RETRY)
    return RETRY_SECONDS


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12  # noqa: PLR2004  # a Unix time, and some
