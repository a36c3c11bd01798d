"""A stand-in for API Entreprise v3 and v4 over company files in the format of the State's own fixtures.

A folder has one folder for each dataset, under its name here or that of the State's fixtures; a file there says which
number it answers to, with which status and body. What no file knows is not found, as at the State's.
"""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse

from openapi.fields import SIREN_DIGITS, InvalidValue, siren, siret
from providers.manifest import manifests
from providers.model import Manifest

HOLDER = "api_entreprise"
STATE_FOLDERS: Mapping[str, str] = {
    "api_entreprise_v3_insee_etablissements": "etablissement",
    "api_entreprise_v4_acoss_attestations_sociales": "attestation_vigilance",
    "api_entreprise_v4_dgfip_attestations_fiscales": "attestation_fiscale",
}

_PREFIXES: Mapping[str, tuple[str, str]] = {
    "unite_legale": ("01", "INSEE"),
    "etablissement": ("01", "INSEE"),
    "attestation_vigilance": ("04", "ACOSS"),
    "attestation_fiscale": ("03", "DGFIP - Adélie"),
    "chiffres_affaires": ("03", "DGFIP - Adélie"),
    "extrait_rne": ("34", "INPI - RNE"),
    "extrait_kbis": ("02", "Infogreffe"),
    "certification_batiment": ("06", "Qualibat"),
    "certification_rge": ("19", "ADEME"),
    "certifications_qualiopi_france_competences": ("33", "CARIF-OREF"),
    "certification_ingenierie": ("11", "OPQIBI"),
    "certificats_qualifelec": ("32", "Qualifelec"),
}
"""By dataset: the first two digits of its error codes, and whose they are."""
_REQUIRED = {"context": "00201", "object": "00202", "recipient": "00203"}
_NOT_FOUND = (
    "Le ou les paramètre(s) d'entrée n'existent pas, ne sont pas connus, ou ne comportent aucune information pour cet "
    "appel. Veuillez vérifier que votre recherche est couverte par le périmètre de l'API."
)


class CompaniesInvalid(Exception):
    """A folder or a file of companies cannot be served; the message says which and why."""


@dataclass(frozen=True, slots=True)
class CompanyFile:
    """One file: to which number it answers in one dataset, and what."""

    dataset: str
    description: str
    number: str
    """A SIREN or a SIRET, as the dataset is asked."""
    status: int
    payload: Mapping[str, Any] = field(repr=False)


def load_companies(folder: Path) -> list[CompanyFile]:
    """Every file of a folder's folders, by name. Raises :class:`CompaniesInvalid`."""
    files = [file for one in sorted(folder.iterdir()) if one.is_dir() for file in sorted(one.glob("*.yaml"))]
    if not files:
        raise CompaniesInvalid(f"{folder}: no company files (DATASET/*.yaml)")
    return [_load(file) for file in files]


def _load(file: Path) -> CompanyFile:
    dataset = STATE_FOLDERS.get(file.parent.name, file.parent.name)
    if dataset not in _PREFIXES:
        raise CompaniesInvalid(f"{file.parent}: not the name of a dataset about companies")
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        (number,) = read["params"].values()
        payload = read["payload"]
        body = json.loads(payload) if isinstance(payload, str) else payload
        return CompanyFile(dataset, str(read.get("description", "")), str(number), int(read["status"]), body)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError):
        raise CompaniesInvalid(f"{file}: not a company file (description, params, status, payload)") from None


def router(companies: Sequence[CompanyFile], token: str) -> APIRouter:
    """The stand-in, for callers that hold ``token``."""
    routes = APIRouter()
    for dataset in _PREFIXES:
        manifest = manifests()[dataset]
        known = {one.number: one for one in companies if one.dataset == dataset}
        routes.add_api_route(manifest.path, _answering(manifest, known, token), methods=["GET"], name=dataset)
    return routes


def _answering(manifest: Manifest, known: Mapping[str, CompanyFile], token: str) -> Callable[..., JSONResponse]:
    asked_by = "siret" if "{siret}" in manifest.path else "siren"

    def answer(request: Request, authorization: Annotated[str, Header()] = "") -> JSONResponse:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return _error(401, "00101", "Interdit", "Votre token n'est pas valide ou n'est pas renseigné")
        number = request.path_params[asked_by]
        if (refused := _refused(request.query_params, asked_by, number)) is not None:
            return refused
        found = known.get(number)
        if found is None:
            prefix, provider = _PREFIXES[manifest.dataset]
            return _error(404, f"{prefix}003", "Entité non trouvée", _NOT_FOUND, provider=provider)
        return JSONResponse(dict(found.payload), found.status)

    return answer


def _refused(query: Mapping[str, str], asked_by: str, number: str) -> JSONResponse | None:
    for name, code in _REQUIRED.items():
        if not query.get(name):
            return _error(422, code, "Entité non traitable", f"Le paramètre {name} est obligatoire", parameter=name)
    try:
        recipient = siret(query["recipient"])
    except InvalidValue:
        detail = "Le paramètre recipient n'est pas un siret valide"
        return _error(422, "00210", "Entité non traitable", detail, parameter="recipient")
    if recipient[:SIREN_DIGITS] == number[:SIREN_DIGITS]:
        title = "Le paramètre recipient est identique au SIRET/SIREN appelé."
        return _error(422, "00211", title, title, parameter="recipient")
    check, code = (siret, "00302") if asked_by == "siret" else (siren, "00301")
    try:
        check(number)
    except InvalidValue:
        detail = f"Le numéro de {asked_by} n'est pas correctement formatté"
        return _error(422, code, "Entité non traitable", detail, parameter=asked_by)
    return None


def _error(
    status: int, code: str, title: str, detail: str, *, parameter: str | None = None, provider: str | None = None
) -> JSONResponse:
    source = None if parameter is None else {"parameter": parameter}
    meta = {} if provider is None else {"provider": provider}
    error = {"code": code, "title": title, "detail": detail, "source": source, "meta": meta}
    return JSONResponse({"errors": [error]}, status)
