"""A stand-in for API Particulier v3 over family files in the format of the State's own fixtures.

A file says which parameters it answers to, with which status and body. A request is answered by the file of which it
states every parameter, compared as the API compares them: without case or accents, the given names from the first on.
Of several, the file that states most wins, so that a precise file stands beside a vague one.
"""

import hmac
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse

from openapi.fields import FRANCE, CogCode, InvalidValue, PivotIdentity, siret

PATH = "/v3/dss/quotient_familial/identite"

_TEXTS = (
    "nomNaissance",
    "nomUsage",
    "sexeEtatCivil",
    "codeCogInseePaysNaissance",
    "codeCogInseeCommuneNaissance",
    "anneeDateNaissance",
    "moisDateNaissance",
    "jourDateNaissance",
)
_REQUIRED = ("nomNaissance", "sexeEtatCivil", "codeCogInseePaysNaissance")


class FamiliesInvalid(Exception):
    """A folder or a file of families cannot be served; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Family:
    """One file: to whom it answers, and what."""

    description: str
    params: Mapping[str, Any] = field(repr=False)
    status: int
    payload: Mapping[str, Any] = field(repr=False)


def load_families(folder: Path) -> list[Family]:
    """Every ``.yaml`` and ``.yml`` file of a folder, by name. Raises :class:`FamiliesInvalid`."""
    files = sorted(one for one in folder.iterdir() if one.suffix in (".yaml", ".yml"))
    if not files:
        raise FamiliesInvalid(f"{folder}: no family files (.yaml)")
    return [_load(file) for file in files]


def _load(file: Path) -> Family:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        payload = read["payload"]
        body = json.loads(payload) if isinstance(payload, str) else payload
        return Family(str(read.get("description", "")), read["params"], int(read["status"]), body)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError):
        raise FamiliesInvalid(f"{file}: not a family file (description, params, status, payload)") from None


def identity_of(family: Family) -> PivotIdentity:
    """The person whom FranceConnect vouches for and to whom the file answers.

    What the file leaves open is left open: no birthdate where it states none, ``00`` for a month or day.
    """
    params = family.params
    country = CogCode(str(params["codeCogInseePaysNaissance"]))
    place = params.get("codeCogInseeCommuneNaissance")
    return PivotIdentity(
        family_name=str(params["nomNaissance"]),
        gender="female" if params["sexeEtatCivil"] == "F" else "male",
        birthcountry=country,
        given_names=tuple(str(name) for name in params.get("prenoms", ())),
        birthdate=_birthdate(params),
        birthplace=CogCode(str(place)) if place and country == FRANCE else None,
        preferred_username=str(params["nomUsage"]) if params.get("nomUsage") else None,
    )


def _birthdate(params: Mapping[str, Any]) -> str | None:
    if "anneeDateNaissance" not in params:
        return None
    month, day = params.get("moisDateNaissance", 0), params.get("jourDateNaissance", 0)
    return f"{params['anneeDateNaissance']:04}-{month:02}-{day:02}"


def router(families: Sequence[Family], token: str) -> APIRouter:
    """The stand-in, for callers that hold ``token``."""
    routes = APIRouter()

    @routes.get(PATH)
    def quotient_familial(
        request: Request,
        prenoms: Annotated[list[str], Query(alias="prenoms[]", max_length=10)] = [],  # noqa: B006  # never changed
        authorization: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return _error(401, "00101", "Interdit", "Votre token n'est pas valide ou n'est pas renseigné", "token")
        if (refused := _refused(request.query_params)) is not None:
            return refused
        asked = {name: request.query_params[name] for name in _TEXTS if name in request.query_params}
        found = _find(families, {**asked, "prenoms": prenoms})
        if found is None:
            return _unknown()
        return JSONResponse(dict(found.payload), found.status)

    return routes


def _refused(query: Mapping[str, str]) -> JSONResponse | None:
    try:
        siret(query.get("recipient"))
    except InvalidValue:
        detail = "Le paramètre recipient n'est pas un numéro de SIRET valide"
        return _error(422, "00210", "Entité non traitable", detail, "recipient")
    for name in _REQUIRED:
        if not query.get(name):
            detail = "Un ou plusieurs paramètres de civilité ne sont pas correctement formatés"
            return _error(422, "00366", "Entité non traitable", detail, name)
    return None


def _find(families: Sequence[Family], asked: Mapping[str, Any]) -> Family | None:
    fitting = [family for family in families if _answers(family.params, asked)]
    return max(fitting, key=lambda family: _stated(family.params), default=None)


def _answers(params: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    names = [_plain(name) for name in params.get("prenoms", ())]
    if [_plain(name) for name in asked["prenoms"]][: len(names)] != names:
        return False
    return all(_plain(params[name]) == _plain(asked.get(name, "")) for name in _TEXTS if name in params)


def _stated(params: Mapping[str, Any]) -> int:
    return sum(len(value) if isinstance(value, list) else 1 for value in params.values())


def _plain(value: object) -> str:
    """Without case or accents; ``3`` and ``03`` are the same day."""
    text = unicodedata.normalize("NFKD", str(value))
    bare = "".join(character for character in text if not unicodedata.combining(character)).upper()
    return bare.lstrip("0") if len(bare) <= 2 else bare  # noqa: PLR2004  # a month or a day has two digits


def _unknown() -> JSONResponse:
    detail = "Le dossier allocataire n'a pas été trouvé auprès de la CNAV."
    return _error(404, "37003", "Dossier allocataire absent CNAV", detail, None, provider="CNAV")


def _error(
    status: int, code: str, title: str, detail: str, parameter: str | None, *, provider: str | None = None
) -> JSONResponse:
    source = None if parameter is None else {"parameter": parameter}
    meta = {} if provider is None else {"provider": provider}
    error = {"code": code, "title": title, "detail": detail, "source": source, "meta": meta}
    return JSONResponse({"errors": [error]}, status)
