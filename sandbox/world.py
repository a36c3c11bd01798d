"""The demo's world in a folder: a registry file, an environment for Accord, and what the stand-ins must agree on.

Every key and secret is made here, at random, for one run.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

from joserfc.jwk import ECKey

from openapi.fields import siret
from sandbox.api_particulier import load_families
from sandbox.app import FRANCECONNECT_PATH, SandboxConfig
from sandbox.franceconnect import Partner
from sandbox.portail_famille import PortalConfig

TOWN = "Commune de Valombre"
TOWN_SIRET = siret("21990001600011")
"""Valid by its key and nobody's: communes' numbers carry their department, and there is no department 99."""
CLIENT_ID = "portail-famille"
HABILITATION_FIELDS = (
    "quotient_familial.fournisseur",
    "quotient_familial.valeur",
    "quotient_familial.annee",
    "quotient_familial.mois",
)

REGISTRY_FILE = "registry.toml"
ENVIRONMENT_FILE = ".env"
DATABASE_FILE = "accord.sqlite"
KEYS_FOLDER = "keys"

_VALID_DAYS = 365


@dataclass(frozen=True, slots=True)
class World:
    """Where everything is. Accord's commands, run in ``folder``, read their settings from its ``.env``."""

    folder: Path
    accord_url: str
    sandbox_url: str
    registry: Path
    sandbox: SandboxConfig


def make_world(
    folder: Path,
    *,
    port: int,
    sandbox_port: int,
    fixtures: Path | None = None,
    fields: tuple[str, ...] | None = None,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> World:
    """Write the world for Accord on ``port`` and the sandbox on ``sandbox_port``, over ``fixtures`` or our families.

    ``fields`` replaces what the town is habilitated for and asks.
    """
    accord_url, sandbox_url = f"http://localhost:{port}", f"http://localhost:{sandbox_port}"
    sandbox = _sandbox(accord_url, sandbox_url, fixtures)
    if fields is not None:
        sandbox = replace(sandbox, portal=replace(sandbox.portal, fields=fields))
    folder.mkdir(parents=True, exist_ok=True)
    registry = folder / REGISTRY_FILE
    registry.write_text(_registry(sandbox.portal, today(), fields=fields or HABILITATION_FIELDS), encoding="utf-8")
    environment = folder / ENVIRONMENT_FILE
    environment.touch(mode=0o600)
    environment.write_text(_dotenv(_environment(folder, accord_url, port, sandbox)), encoding="utf-8")
    return World(folder, accord_url, sandbox_url, registry, sandbox)


def _sandbox(accord_url: str, sandbox_url: str, fixtures: Path | None) -> SandboxConfig:
    with resources.as_file(resources.files("sandbox").joinpath("families")) as ours:
        families = load_families(fixtures or ours)
    key = ECKey.generate_key("P-256", parameters={"use": "sig", "alg": "ES256"})
    key.ensure_kid()
    return SandboxConfig(
        base_url=sandbox_url,
        partner=Partner(
            client_id="accord-demo",
            client_secret=secrets.token_urlsafe(32),
            redirect_uris=(f"{accord_url}/franceconnect/retour",),
            post_logout_redirect_uris=(f"{accord_url}/deconnexion",),
        ),
        portal=PortalConfig(
            issuer=accord_url, base_url=sandbox_url, client_id=CLIENT_ID, recipient=TOWN_SIRET, key=key
        ),
        holder_token=secrets.token_urlsafe(32),
        families=families,
    )


def _environment(folder: Path, accord_url: str, port: int, sandbox: SandboxConfig) -> Mapping[str, str]:
    return {
        "ACCORD_ISSUER": accord_url,
        "ACCORD_PORT": str(port),
        "ACCORD_KEYS_DIR": str(folder / KEYS_FOLDER),
        "ACCORD_DATABASE_URL": f"sqlite:///{folder / DATABASE_FILE}",
        "ACCORD_LOG_LEVEL": "warning",
        "ACCORD_FRANCECONNECT__ISSUER": sandbox.base_url + FRANCECONNECT_PATH,
        "ACCORD_FRANCECONNECT__CLIENT_ID": sandbox.partner.client_id,
        "ACCORD_FRANCECONNECT__CLIENT_SECRET": sandbox.partner.client_secret,
        "ACCORD_HOLDERS__API_PARTICULIER__URL": sandbox.base_url,
        "ACCORD_HOLDERS__API_PARTICULIER__TOKEN": sandbox.holder_token,
    }


def _dotenv(environment: Mapping[str, str]) -> str:
    lines = ["# Secrets of one demo, made at random."]
    for name, value in environment.items():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"{name}='{escaped}'")
    return "\n".join(lines) + "\n"


def _registry(portal: PortalConfig, today: date, *, fields: tuple[str, ...]) -> str:
    jwk = portal.key.as_dict(private=False)
    public = ", ".join(f"{name} = {_quoted(str(jwk[name]))}" for name in ("kty", "crv", "x", "y", "kid", "use", "alg"))
    return f"""\
# Who may ask Accord for what, in the demo. The town and its numbers are fictional.

[[organisation]]
siret = {_quoted(portal.recipient)}
name = {_quoted(TOWN)}

[[client]]
client_id = {_quoted(portal.client_id)}
name = "Portail famille"
organisation = {_quoted(portal.recipient)}
redirect_uris = [{_quoted(portal.redirect_uri)}]
jwks = {{ keys = [{{ {public} }}] }}
sender_constraint = "none"

[[habilitation]]
id = "valombre-quotient-familial"
organisation = {_quoted(portal.recipient)}
clients = [{_quoted(portal.client_id)}]
dataset = {_quoted(portal.dataset)}
fields = [{", ".join(_quoted(name) for name in fields)}]
legal_basis = "consent"
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=_VALID_DAYS)}
datapass = "DEMO-0001"

[[habilitation.purposes]]
code = {_quoted(portal.purpose)}
fr = "Calculer le tarif de la crèche selon vos ressources"
en = "Work out what the nursery costs according to your income"
"""


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among its own."""
    return json.dumps(text)
