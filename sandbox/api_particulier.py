"""A stand-in for API Particulier v3 over family files in the format of the State's own fixtures.

A file says which parameters it answers to, with which status and body. A request is answered by the file of which it
states every parameter, compared as the API compares them: without case or accents, the given names from the first on.
Of several, the file that states most wins, so that a precise file stands beside a vague one.

Every dataset of the catalogue that API Particulier's adapter asks for has its path here, over the same files: what a
file does not state of a dataset is made up by ``records.py``.
"""

import hmac
import json
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse

from openapi.fields import FRANCE, CogCode, InvalidValue, PivotIdentity, siret
from providers.adapters.api_particulier import PARAMETERS, beside
from providers.model import Manifest
from providers.registry import catalogue
from sandbox.records import ine_of, login_of, record_of

ADAPTER = "api_particulier"
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
    datasets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What it states of datasets other than the quotient familial, by name: ours, beside the State's own format."""


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
        told = read.get("datasets", {})
        return Family(str(read.get("description", "")), read["params"], int(read["status"]), body, told)
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


def router(families: Sequence[Family], token: str, manifests: Mapping[str, Manifest] | None = None) -> APIRouter:
    """The stand-in, for callers that hold ``token``. ``manifests``: of the datasets it answers for."""
    routes = APIRouter()
    for manifest in (catalogue() if manifests is None else manifests).values():
        if manifest.adapter == ADAPTER:
            routes.add_api_route(manifest.path, _endpoint(manifest, families, token), methods=["GET"])
            for name in manifest.identifiers:
                asking = replace(manifest, identity=(), parameters={name: manifest.identifiers[name].parameter})
                routes.add_api_route(beside(manifest.path, name), _endpoint(asking, families, token), methods=["GET"])
    return routes


def _endpoint(manifest: Manifest, families: Sequence[Family], token: str) -> Callable[..., JSONResponse]:
    def answer(request: Request, authorization: Annotated[str, Header()] = "") -> JSONResponse:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return _error(401, "00101", "Interdit", "Votre token n'est pas valide ou n'est pas renseigné", "token")
        query = request.query_params
        if (refused := _refused(manifest, query)) is not None:
            return refused
        asked = {name: query[name] for name in _TEXTS if name in query}
        found = _find(manifest, families, {**asked, "prenoms": query.getlist("prenoms[]")}, query)
        if found is None:
            return _unknown()
        return JSONResponse(_payload(manifest, found), found.status)

    return answer


def _payload(manifest: Manifest, found: Family) -> dict[str, Any]:
    if found.status != HTTPStatus.OK:
        return dict(found.payload)
    return {"data": record_of(manifest, found), "links": {}, "meta": {}}


def _refused(manifest: Manifest, query: Mapping[str, str]) -> JSONResponse | None:
    try:
        siret(query.get("recipient"))
    except InvalidValue:
        detail = "Le paramètre recipient n'est pas un numéro de SIRET valide"
        return _error(422, "00210", "Entité non traitable", detail, "recipient")
    sent = {name for part in manifest.identity for name in PARAMETERS[part]}
    required = [name for name in _REQUIRED if name in sent]
    required += [name for name, one in manifest.parameters.items() if one.required]
    for name in required:
        if not query.get(name):
            detail = "Un ou plusieurs paramètres de civilité ne sont pas correctement formatés"
            return _error(422, "00366", "Entité non traitable", detail, name)
    return None


def _find(
    manifest: Manifest, families: Sequence[Family], asked: Mapping[str, Any], query: Mapping[str, str]
) -> Family | None:
    if not manifest.identity:
        names = {query.get(name) for name in manifest.parameters}
        named = [family for family in families if {login_of(family.params), ine_of(family.params)} & names]
        return max(named, key=lambda family: _stated(family.params), default=None)
    sent = {name for part in manifest.identity for name in PARAMETERS[part]}
    told = [name for name in _TEXTS if name in sent]
    fitting = [family for family in families if _answers(family.params, asked, told, manifest.given_names)]
    return max(fitting, key=lambda family: _stated(family.params), default=None)


def _answers(params: Mapping[str, Any], asked: Mapping[str, Any], told: Collection[str], given_names: int) -> bool:
    """``told``: the parameters that this dataset's question states."""
    names = [_plain(name) for name in params.get("prenoms", ())][:given_names]
    if [_plain(name) for name in asked["prenoms"]][: len(names)] != names:
        return False
    return all(_plain(params[name]) == _plain(asked.get(name, "")) for name in told if name in params)


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
