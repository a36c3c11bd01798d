"""API Impôt Particulier of the DGFiP, called with the citizen's FranceConnect token. Pure.

The token says whose tax situation is asked for: the DGFiP asks FranceConnect itself, and gives what its scopes open.
Path, headers and names of the answer: the DGFiP's published OpenAPI file of API Impôt Particulier; names of the fields:
API Particulier's scopes.
"""

import time
from collections.abc import Callable, Mapping

import orjson

from providers.adapters.apistration import Errors
from providers.errors import (
    AnswerInvalid,
    BadInput,
    CitizenTokenRefused,
    HolderBusy,
    HolderFailed,
    HolderRefused,
    HolderTimeout,
    HolderUnreachable,
    NotComputable,
    ProviderError,
    UnknownCitizen,
)
from providers.model import Manifest
from providers.port import Answer, HolderReply, HolderRequest, IdentityMissing, Query, Send
from providers.record import RecordInvalid, RecordReader

YEAR = "annee"
"""The parameter: the year of the income. That of 2024 is on the tax notice of 2025."""
REFERENCE_INCOME = "revenu_fiscal_reference"

_OK = 200
_UNAUTHORIZED = 401


class Dgfip:
    """The adapter of one dataset."""

    def __init__(self, manifest: Manifest, *, clock: Callable[[], float] = time.time) -> None:
        self._manifest = manifest
        self._reader = RecordReader(manifest)
        self._clock = clock

    async def fetch(self, query: Query, send: Send) -> Answer:
        """Ask for one citizen's year. Raises :class:`providers.errors.ProviderError`."""
        reply = await send(self._request(query))
        if reply.status != _OK:
            raise _error(self._manifest.holder, reply, now=self._clock())
        try:
            situation = renamed(orjson.loads(reply.body), year=int(query.parameters[YEAR]))
            record = self._reader.read(situation, self._computed(situation, query.fields))
        except (ValueError, TypeError, KeyError, AttributeError, RecordInvalid):
            raise AnswerInvalid(self._manifest.holder) from None
        return Answer(record, int(self._clock()))

    def _request(self, query: Query) -> HolderRequest:
        if query.franceconnect_token is None:
            raise IdentityMissing(query.dataset)
        year = query.parameters.get(YEAR, "")
        if not self._manifest.parameters[YEAR].pattern.fullmatch(year):
            raise BadInput(self._manifest.holder)
        headers = (("x-franceconnect-oauth", query.franceconnect_token), ("x-correlation-id", query.request_id))
        return HolderRequest(self._manifest.path.replace(f"{{{YEAR}}}", year), (), headers)

    def _computed(self, situation: Mapping[str, object], fields: tuple[str, ...]) -> tuple[str, ...]:
        """``fields``, unless the income is among them and the DGFiP has worked none out: it is not zero."""
        if REFERENCE_INCOME in fields and REFERENCE_INCOME in situation and situation[REFERENCE_INCOME] is None:
            raise NotComputable(self._manifest.holder)
        return fields


_NAMES: Mapping[str, str] = {
    REFERENCE_INCOME: "rfr",
    "nombre_parts": "nbPart",
    "situation_familiale": "sitFam",
    "adresse_fiscale_taxation": "aft",
    "revenu_brut_global": "revenuBrutGlobal",
    "revenu_imposable": "revImposable",
    "impot_revenu_net_avant_corrections": "impAvImput",
    "montant_impot": "montTotIr",
    "date_recouvrement": "datRec",
    "date_etablissement": "datEtab",
}
"""API Particulier's name -> the DGFiP's."""
_DECLARANT: Mapping[str, str] = {"nom": "nmUsaDec", "nom_naissance": "nmNaiDec", "prenoms": "prnmDec"}


def renamed(answer: Mapping[str, object], *, year: int) -> dict[str, object]:
    """The DGFiP's answer under API Particulier's names; what it does not hold is not there.

    Raises ``AttributeError``, ``KeyError``, ``TypeError`` or ``ValueError`` for another form than announced.
    """
    situation: dict[str, object] = {name: _or_none(answer[key]) for name, key in _NAMES.items() if key in answer}
    situation["annee_revenus"] = year
    situation["annee_impot"] = year + 1
    dependants = answer.get("pac")
    if isinstance(dependants, dict) and "nbPac" in dependants:
        situation["nombre_personnes_a_charge"] = dependants["nbPac"]
    for number in (1, 2):
        if declarant := _declarant(answer, number):
            situation[f"declarant{number}"] = declarant
    return situation


def _declarant(answer: Mapping[str, object], number: int) -> dict[str, object]:
    told = {name: _or_none(answer[f"{key}{number}"]) for name, key in _DECLARANT.items() if f"{key}{number}" in answer}
    if f"dateNaisDec{number}" in answer:
        told["date_naissance"] = _date(answer[f"dateNaisDec{number}"])
    return told


def _date(told: object) -> str | None:
    """``YYYY-MM-DD`` of the year, month and day that the DGFiP gives apart; an unknown month or day is ``00``."""
    if not isinstance(told, dict) or not told.get("annee"):
        return None
    year, month, day = (int(told.get(part) or 0) for part in ("annee", "mois", "jour"))
    return f"{year:04}-{month:02}-{day:02}"


def _or_none(value: object) -> object:
    """The DGFiP says 'nothing' by an empty text too."""
    return None if value == "" else value


_ERRORS = Errors(
    by_status={
        # No situation for this person in this year.
        204: UnknownCitizen,
        400: BadInput,
        401: HolderRefused,
        403: HolderRefused,
        404: UnknownCitizen,
        410: UnknownCitizen,
        422: BadInput,
        429: HolderBusy,
        500: HolderFailed,
        502: HolderFailed,
        503: HolderUnreachable,
        504: HolderTimeout,
    }
)


def _error(holder: str, reply: HolderReply, *, now: float) -> ProviderError:
    if reply.status == _UNAUTHORIZED and _is_the_applications(reply.body):
        return CitizenTokenRefused(holder)
    return _ERRORS.of(holder, reply, now=now)


def _is_the_applications(body: bytes) -> bool:
    """Whether the error is the DGFiP's application's, which looks at the citizen's token (``{"erreur": ...}``).

    The API manager before it, which looks at ours, answers in another form.
    """
    try:
        return isinstance(orjson.loads(body)["erreur"], dict)
    except (ValueError, TypeError, KeyError):
        return False
