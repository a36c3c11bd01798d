"""API Particulier v3, ``/identite`` paths: a pivot identity in, the manifest's record out. Pure.

Parameters and error codes: the State's OpenAPI file of API Particulier and its table of errors.
"""

import time
from collections.abc import Callable, Iterator
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
from providers.port import Answer, HolderReply, HolderRequest, Query, Send
from providers.record import RecordInvalid, RecordReader

RETRY_SECONDS = 60
"""What a caller is told to wait when the holder does not say."""
LONGEST_RETRY = 86_400
GIVEN_NAMES = 3
"""The API takes the first three."""

_CANNOT_IDENTIFY = "00355"
_NO_VALUE = "23502"
_UPSTREAM_TIMEOUT = "37002"
_SEXES = {"female": "F", "male": "M"}
_CONFLICT_SECONDS = 5


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
            record = self._reader.read(orjson.loads(reply.body)["data"])
        except (ValueError, TypeError, KeyError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()))

    def _refuse(self, reply: HolderReply) -> NoReturn:
        raise _error(self._manifest.holder, reply, now=self._clock())


def parameters(query: Query) -> Iterator[tuple[str, str]]:
    """The query parameters of an identity; what is unknown (``00``, no given name) is left out."""
    identity = query.identity
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


def _error(holder: str, reply: HolderReply, *, now: float) -> ProviderError:
    code = _code(reply.body)
    if code == _CANNOT_IDENTIFY:
        return NotIdentified(holder)
    if code == _NO_VALUE:
        return NotComputable(holder)
    match reply.status:
        case 400 | 422:
            return BadInput(holder)
        case 401 | 403:
            return HolderRefused(holder)
        case 404:
            return UnknownCitizen(holder)
        case 409:
            # The same question is under way: its answer is about to come.
            return HolderBusy(holder, retry_in=_CONFLICT_SECONDS)
        case 429:
            return HolderBusy(holder, retry_in=_retry_in(reply, now))
        case 500 | 502:
            return HolderFailed(holder, retry_in=_retry_in(reply, now))
        case 503:
            return HolderUnreachable(holder, retry_in=_retry_in(reply, now))
        case 504:
            timed_out = code == _UPSTREAM_TIMEOUT
            return (HolderTimeout if timed_out else HolderUnreachable)(holder, retry_in=_retry_in(reply, now))
        case _:
            return AnswerInvalid(holder)


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
