"""A stand-in for API Impôt Particulier in FranceConnect mode, over the sandbox's tax households.

It holds the two tokens of a call apart as the DGFiP does: the API manager looks at the gateway's, the application at
the citizen's, which it asks FranceConnect about. What her scopes do not open is left out.
"""

import hmac
import unicodedata
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any
from uuid import UUID

import yaml
from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse

from consent.checktoken import CheckedToken, TokenChecker
from openapi.fields import PivotIdentity
from openapi.problem import AccordError

PATH = "/impotparticulier/1.0/situations/ir/assiettes/annrev/{annee}"

_INCOME = ("rfr", "revenuBrutGlobal", "revImposable", "impAvImput", "montTotIr", "datRec", "datEtab")
_NAMES_BY_SCOPE: Mapping[str, tuple[str, ...]] = {
    "dgfip_rfr": _INCOME,
    "dgfip_nbpart": ("nbPart",),
    "dgfip_sitfam": ("sitFam",),
    "dgfip_pac": ("pac",),
    "dgfip_aft": ("aft",),
    "dgfip_decl": tuple(
        f"{name}{number}" for number in (1, 2) for name in ("nmUsaDec", "nmNaiDec", "prnmDec", "dateNaisDec")
    ),
}
SCOPES = tuple(_NAMES_BY_SCOPE)
"""What FranceConnect registers for the DGFiP as a data provider."""


@dataclass(frozen=True, slots=True)
class TaxHousehold:
    """Whose situations these are, and the situations by the year of the income."""

    family_name: str = field(repr=False)
    given_name: str = field(repr=False)
    years: Mapping[int, Mapping[str, Any]] = field(repr=False)


def tax_households() -> list[TaxHousehold]:
    """Those of the sandbox's people."""
    read = yaml.safe_load(resources.files("sandbox").joinpath("foyers_fiscaux.yaml").read_text("utf-8"))
    return [TaxHousehold(one["nom_naissance"], one["prenom"], one["annees"]) for one in read]


def router(
    households: Sequence[TaxHousehold], *, token: str, checker: TokenChecker, credentials: str = ""
) -> APIRouter:
    """The stand-in, for gateways that hold ``token``; ``checker`` asks FranceConnect about the citizens'.

    ``credentials``: ``client_id:client_secret`` of a gateway that is given it for an hour (RFC 6749 section 4.4).
    """
    routes = APIRouter()

    @routes.post("/token")
    async def gateways_token(authorization: Annotated[str, Header()] = "") -> JSONResponse:
        expected = f"Basic {b64encode(credentials.encode()).decode()}"
        if not credentials or not hmac.compare_digest(authorization.encode(), expected.encode()):
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    # Asking FranceConnect waits: a plain function runs in a thread.
    @routes.get(PATH)
    def situation(
        annee: str,
        authorization: Annotated[str, Header()] = "",
        x_franceconnect_oauth: Annotated[str, Header()] = "",
        x_correlation_id: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            fault = {"code": 900901, "message": "Invalid Credentials", "description": "Access failure for API"}
            return JSONResponse({"fault": fault}, 401)
        if not _is_uuid(x_correlation_id) or not annee.isdigit():
            return _error(400, "X-Correlation-ID ou année de revenus incorrects")
        try:
            checked = checker.check(x_franceconnect_oauth)
        except AccordError as error:
            if error.slug == "franceconnect_token_inactive":
                return _error(401, "Jeton FranceConnect refusé")
            return _error(503, "FranceConnect indisponible")
        found = _find(households, checked.identity, int(annee))
        return _error(404, "Situation inconnue") if found is None else JSONResponse(_opened(found, checked))

    return routes


def _find(households: Sequence[TaxHousehold], identity: PivotIdentity, year: int) -> Mapping[str, Any] | None:
    names = (identity.family_name, *identity.given_names[:1])
    wanted = [_plain(name) for name in names]
    for one in households:
        if [_plain(one.family_name), _plain(one.given_name)] == wanted:
            return one.years.get(year)
    return None


def _opened(situation: Mapping[str, Any], checked: CheckedToken) -> dict[str, Any]:
    names = {name for scope in checked.scopes for name in _NAMES_BY_SCOPE.get(scope, ())}
    return {name: value for name, value in situation.items() if name in names}


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKD", name)
    return "".join(character for character in text if not unicodedata.combining(character)).upper()


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"erreur": {"message": message}}, status)
