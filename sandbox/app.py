"""The sandbox as one application: FranceConnect under ``/api/v2``, ProConnect under ``/proconnect/api/v2``, and more.

API Particulier and API Entreprise answer under their own paths; the town's portal is at ``/``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from providers.registry import catalogue
from sandbox import api_entreprise, api_particulier, franceconnect, portail_famille, proconnect
from sandbox.api_entreprise import CompanyFile
from sandbox.api_particulier import Family, identity_of
from sandbox.franceconnect import Partner, Person, Provider
from sandbox.portail_famille import PortalConfig

FRANCECONNECT_PATH = "/api/v2"
PROCONNECT_PATH = "/proconnect/api/v2"


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """What the stand-ins must agree on with the Accord they are shown to."""

    base_url: str
    """The sandbox's own URL."""
    partner: Partner
    """Accord, as FranceConnect knows it."""
    agents_partner: Partner
    """Accord, as ProConnect knows it."""
    portal: PortalConfig
    """The town's portal, as Accord knows it."""
    holder_token: str = field(repr=False)
    """The token API Particulier expects."""
    families: Sequence[Family] = field(repr=False)
    companies_token: str = field(repr=False)
    """The token API Entreprise expects."""
    companies: Sequence[CompanyFile] = field(repr=False)
    manifests: Path | None = None
    """A folder of an operator's own datasets, as Accord has it in ACCORD_MANIFESTS_DIR."""


def create_sandbox(config: SandboxConfig) -> FastAPI:
    """Every stand-in, over the same families: whoever logs in, the holder answers with her file."""
    provider = Provider(
        config.base_url + FRANCECONNECT_PATH, partners=[config.partner], people=people_of(config.families)
    )
    app = FastAPI(title="Accord's sandbox", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(franceconnect.router(provider), prefix=FRANCECONNECT_PATH)
    agents = proconnect.Provider(
        config.base_url + PROCONNECT_PATH,
        partners=[config.agents_partner],
        people=proconnect.agents_of(config.portal.recipient),
    )
    app.include_router(proconnect.router(agents), prefix=PROCONNECT_PATH)
    app.include_router(api_particulier.router(config.families, config.holder_token, catalogue(config.manifests)))
    app.include_router(api_entreprise.router(config.companies, config.companies_token))
    app.include_router(portail_famille.router(config.portal))
    return app


def people_of(families: Sequence[Family]) -> list[Person]:
    """One person of FranceConnect's login page for each family file."""
    return [Person(str(number), _label(family), identity_of(family)) for number, family in enumerate(families, start=1)]


def _label(family: Family) -> str:
    """``Anne Giraud - une ligne de la description``: who she is, and what her file is there to show."""
    identity = identity_of(family)
    name = " ".join([*identity.given_names[:1], identity.family_name])
    lines = [line.strip("# ").strip() for line in family.description.splitlines()]
    told = next((line for line in lines if line), "")
    return f"{name} - {told}" if told else name
