"""API Particulier v3, ``/identite`` paths: a pivot identity in, the manifest's record out. Pure.

Parameters and error codes: the State's OpenAPI file of API Particulier and its table of errors.
"""

import time
from collections.abc import Callable, Iterator

import orjson

from openapi.fields import FRANCE, PivotIdentity
from providers.adapters.apistration import BY_STATUS, Errors
from providers.errors import AnswerInvalid, HolderTimeout, NotComputable, NotIdentified, UnknownCitizen
from providers.manifest import Manifest
from providers.port import Answer, HolderRequest, IdentityMissing, Query, Send
from providers.record import RecordInvalid, RecordReader

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
            raise _ERRORS.of(self._manifest.holder, reply, now=self._clock())
        try:
            record = self._reader.read(orjson.loads(reply.body)["data"], query.fields)
        except (ValueError, TypeError, KeyError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()))


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


_ERRORS = Errors(
    by_status={**BY_STATUS, 404: UnknownCitizen},
    by_code={"00355": NotIdentified, "23502": NotComputable, "37002": HolderTimeout},
)
