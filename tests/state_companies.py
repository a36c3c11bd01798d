"""API Entreprise over the State's own fixtures, as a holder: its tokens, parameters, errors and health, on real HTTP.

A fixture of version 3 is served as version 4, which says the activity twice; what has no fixture is said here.
"""

import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse

FOLDERS = {
    "api_entreprise_v3_insee_etablissements": "/v4/insee/sirene/etablissements/{siret}",
    "api_entreprise_v4_acoss_attestations_sociales": "/v4/urssaf/unites_legales/{siren}/attestation_vigilance",
    "api_entreprise_v4_dgfip_attestations_fiscales": "/v4/dgfip/unites_legales/{siren}/attestation_fiscale",
}
"""Where each folder of fixtures is served."""
TURNOVERS = "/v3/dgfip/etablissements/{siret}/chiffres_affaires"
COMPANIES = "/v4/insee/sirene/unites_legales/{siren}"
CROIX_ROUGE = "77567227221138"
NOBODY = "13002526500013"
"""A number with a valid key of whom no fixture speaks."""
_PROVIDERS = {"insee": ("01", "INSEE"), "urssaf": ("04", "ACOSS"), "dgfip": ("03", "DGFIP - Adélie")}


class Companies:
    """The stand-in. ``asked``: the queries it was sent; ``trouble``: what it answers to everything instead."""

    def __init__(self, fixtures: Path, *, token: str) -> None:
        self.asked: list[dict[str, str]] = []
        self.trouble: Callable[[], JSONResponse] | None = None
        self._token = token
        self._files = {folder: _load(fixtures / folder) for folder in FOLDERS}
        self.app = FastAPI(openapi_url=None)
        for folder, path in FOLDERS.items():
            self.app.get(path)(self._endpoint(self._files[folder], upgrade="insee" in folder))
        self.app.get(TURNOVERS)(self._endpoint({CROIX_ROUGE: _TURNOVERS}, upgrade=False))
        establishments = self._files["api_entreprise_v3_insee_etablissements"].values()
        self.app.get(COMPANIES)(self._endpoint(dict(_companies_of(establishments)), upgrade=False))

    def _endpoint(self, files: Mapping[str, Any], *, upgrade: bool) -> Callable[..., JSONResponse]:
        def answer(request: Request, authorization: Annotated[str, Header()] = "") -> JSONResponse:
            self.asked.append(dict(request.query_params))
            if not hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode()):
                return _error(401, "00101", "Interdit")
            if not all(request.query_params.get(name) for name in ("recipient", "context", "object")):
                return _error(422, "00201", "Entité non traitable")
            if self.trouble is not None:
                return self.trouble()
            (number,) = request.path_params.values()
            if number not in files:
                prefix, name = _PROVIDERS[request.url.path.split("/")[2]]
                return _error(404, f"{prefix}003", "Entité non trouvée", provider=name)
            status, payload = files[number]
            return JSONResponse(_upgraded(payload) if upgrade else payload, status)

        return answer


def _load(folder: Path) -> dict[str, tuple[int, Any]]:
    """Status and payload by the company's number."""
    read = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
    return {next(iter(one["params"].values())): (one["status"], json.loads(one["payload"])) for one in read}


def _companies_of(establishments: Iterable[tuple[int, Any]]) -> Iterator[tuple[str, tuple[int, Any]]]:
    for status, payload in establishments:
        company = {**_upgraded(payload)["data"]["unite_legale"], "date_cessation": None}
        seat = f"https://entreprise.api.gouv.fr/v4/insee/sirene/etablissements/{company['siret_siege_social']}"
        links = {"siege_social": seat, "siege_social_adresse": f"{seat}/adresse"}
        meta = {"date_derniere_mise_a_jour": 1, "redirect_from_siren": None}
        yield company["siren"], (status, {"data": company, "links": links, "meta": meta})


def _upgraded(payload: Any) -> Any:
    found = deepcopy(payload)
    for part in (found["data"], found["data"]["unite_legale"]):
        part["activite_principale_naf_rev2"] = part["activite_principale"]
        part["activite_principale"] = {"code": "88.99", "nomenclature": "NAF2025", "libelle": "Nouvelle nomenclature"}
    return found


def _error(status: int, code: str, title: str, *, provider: str | None = None) -> JSONResponse:
    meta = {} if provider is None else {"provider": provider}
    return JSONResponse(
        {"errors": [{"code": code, "title": title, "detail": "", "source": None, "meta": meta}]}, status
    )


_TURNOVERS = (
    200,
    {
        "data": [
            {"data": {"chiffre_affaires": turnover, "date_fin_exercice": f"{year}-12-01"}, "links": {}, "meta": {}}
            for year, turnover in ((2024, 900_001), (2023, 812_345.5))
        ],
        "links": {},
        "meta": {},
    },
)
