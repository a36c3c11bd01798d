"""The demo's world in a folder: a registry file, an environment for Accord, and what the stand-ins must agree on.

Every key and secret is made here, at random, for one run; Accord's own keys too, as the registry names its auditors by
pseudonyms made with one of them.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

from joserfc.jwk import ECKey

from audit.auditors import Auditor, Role
from exchange.application import new_token
from exchange.keyring import load_keyring, make_keyring
from exchange.proconnect import agent_subject
from openapi.fields import siret
from providers.registry import catalogue
from sandbox import buyers
from sandbox.api_entreprise import load_companies
from sandbox.api_particulier import ADAPTER as API_PARTICULIER
from sandbox.api_particulier import load_families
from sandbox.app import FRANCECONNECT_PATH, PROCONNECT_PATH, SandboxConfig
from sandbox.franceconnect import Partner
from sandbox.portail_famille import PortalConfig
from sandbox.proconnect import agents_of

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
    buyers_token: str = field(repr=False)
    """The access token of the town's procurement application."""


def make_world(
    folder: Path,
    *,
    port: int,
    sandbox_port: int,
    fixtures: Path | None = None,
    fields: tuple[str, ...] | None = None,
    dataset: str | None = None,
    manifests: Path | None = None,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> World:
    """Write the world for Accord on ``port`` and the sandbox on ``sandbox_port``, over ``fixtures`` or our families.

    ``dataset`` and ``fields`` replace what the town is habilitated for and asks; ``manifests`` is a folder of datasets
    beside the catalogue's. Keys that are there already are kept; raises
    :class:`exchange.keyring.KeyringError` when one cannot be read.
    """
    accord_url, sandbox_url = f"http://localhost:{port}", f"http://localhost:{sandbox_port}"
    sandbox = replace(_sandbox(accord_url, sandbox_url, fixtures), manifests=manifests)
    asked = {name: value for name, value in (("dataset", dataset), ("fields", fields)) if value is not None}
    sandbox = replace(sandbox, portal=replace(sandbox.portal, **asked))  # type: ignore[arg-type]  # each of its type
    token, digest = new_token()
    folder.mkdir(parents=True, exist_ok=True)
    registry = folder / REGISTRY_FILE
    registry.write_text(
        _registry(sandbox.portal, today(), fields=fields or HABILITATION_FIELDS)
        + buyers.registry_entries(TOWN_SIRET, token_sha256=digest, today=today())
        + _auditors(sandbox, pseudonym_key=_pseudonym_key(folder / KEYS_FOLDER, accord_url)),
        encoding="utf-8",
    )
    environment = folder / ENVIRONMENT_FILE
    environment.touch(mode=0o600)
    environment.write_text(_dotenv(_environment(folder, accord_url, port, sandbox)), encoding="utf-8")
    return World(folder, accord_url, sandbox_url, registry, sandbox, token)


def _sandbox(accord_url: str, sandbox_url: str, fixtures: Path | None) -> SandboxConfig:
    with resources.as_file(resources.files("sandbox")) as ours:
        families = load_families(fixtures or ours / "families")
        companies = load_companies(ours / "companies")
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
        agents_partner=Partner(
            client_id="accord",
            client_secret=secrets.token_urlsafe(32),
            redirect_uris=(f"{accord_url}/audit/retour",),
            post_logout_redirect_uris=(f"{accord_url}/audit/deconnexion",),
        ),
        portal=PortalConfig(
            issuer=accord_url, base_url=sandbox_url, client_id=CLIENT_ID, recipient=TOWN_SIRET, key=key
        ),
        holder_token=secrets.token_urlsafe(32),
        families=families,
        companies_token=secrets.token_urlsafe(32),
        companies=companies,
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
        "ACCORD_PROCONNECT__ISSUER": sandbox.base_url + PROCONNECT_PATH,
        "ACCORD_PROCONNECT__CLIENT_ID": sandbox.agents_partner.client_id,
        "ACCORD_PROCONNECT__CLIENT_SECRET": sandbox.agents_partner.client_secret,
        **_citizens_holders(sandbox),
        "ACCORD_HOLDERS__API_ENTREPRISE__URL": sandbox.base_url,
        "ACCORD_HOLDERS__API_ENTREPRISE__TOKEN": sandbox.companies_token,
        **({"ACCORD_MANIFESTS_DIR": str(sandbox.manifests)} if sandbox.manifests is not None else {}),
    }


def _citizens_holders(sandbox: SandboxConfig) -> Mapping[str, str]:
    """Every holder that speaks as API Particulier does is the sandbox."""
    offered = catalogue(sandbox.manifests).values()
    names = sorted({one.holder.upper() for one in offered if one.adapter == API_PARTICULIER})
    urls = {f"ACCORD_HOLDERS__{name}__URL": sandbox.base_url for name in names}
    return urls | {f"ACCORD_HOLDERS__{name}__TOKEN": sandbox.holder_token for name in names}


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


def _pseudonym_key(folder: Path, accord_url: str) -> bytes:
    """The key that 'accord keys init' would make; it finds this one and keeps it."""
    make_keyring(folder, log_origin=f"{accord_url.split('://', 1)[1]}/log", now=time.time())
    return load_keyring(folder).pseudonym


def auditors(sandbox: SandboxConfig, *, pseudonym_key: bytes) -> dict[str, Auditor]:
    """What the demo's registry makes of ProConnect's agents, by their label."""
    town, issuer = sandbox.portal.recipient, sandbox.base_url + PROCONNECT_PATH
    roles: Mapping[str, tuple[Role, str | None]] = {
        "claire": ("auditor", None),
        "marc": ("auditor", town),
        "nadia": ("operator", None),
    }
    return {
        agent.label: Auditor(agent_subject(issuer, agent.sub, pseudonym_key), *roles[agent.key])
        for agent in agents_of(town)
    }


def _auditors(sandbox: SandboxConfig, *, pseudonym_key: bytes) -> str:
    entries = []
    for label, auditor in auditors(sandbox, pseudonym_key=pseudonym_key).items():
        lines = ["", "[[auditor]]", f"subject = {_quoted(auditor.subject)}", f"role = {_quoted(auditor.role)}"]
        if auditor.organisation is not None:
            lines.append(f"organisation = {_quoted(auditor.organisation)}")
        entries += [*lines, f"label = {_quoted(label)}"]
    return "\n".join(entries) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among its own."""
    return json.dumps(text)
