"""A town's procurement application on a real deployment: its requests, and who else is in the registry."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import date, timedelta
from secrets import token_urlsafe
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from exchange.application import new_token
from openapi.fields import siret
from openapi.problem import problems
from providers.bundle import bundles
from providers.manifest import manifests
from sandbox.world import TOWN_SIRET, World
from tests.journeys.deployment import Deployment, load_registry

BUNDLE = bundles()["dossier_marche_public"]
JOINERY = "00000001800010"
SOLE_TRADER = "00000002600013"
UNDISCLOSED = "00000003400017"
UNDER_REVIEW = "00000004200010"
NOBODY = "13002526500013"
WHY = {"context": "Contexte-Canari", "object": "Objet-Canari n° 2026-07"}
PARTNER = siret("21750001600019")
KEY = ec.generate_private_key(ec.SECP256R1())
TOKENS = {name: new_token() for name in ("bound", "elsewhere", "expired")}


def more_registry(world: World) -> None:
    """A town that delegates one dataset to ours, and applications whose tokens are tied to something."""
    tomorrow = date.today() + timedelta(days=1)  # noqa: DTZ011  # the registry's own days
    entries = [
        f"""
[[organisation]]
siret = "{PARTNER}"
name = "Commune partenaire"

[[delegation]]
id = "partenaire-a-valombre"
organisation = "{PARTNER}"
delegate = "{TOWN_SIRET}"
datasets = ["attestation_vigilance"]
valid_from = 2026-01-01
valid_until = {tomorrow}
"""
    ]
    entries += [
        f"""
[[habilitation]]
id = "partenaire-{dataset}"
organisation = "{PARTNER}"
dataset = "{dataset}"
fields = {json.dumps(list(manifests()[dataset].fields)[:1])}
legal_basis = "public_task"
grounds = ["company"]
valid_from = 2026-01-01
valid_until = {tomorrow}
purposes = [{{ code = "p", fr = "P", en = "P" }}]
"""
        for dataset in ("attestation_vigilance", "unite_legale")
    ]
    extra = {
        "bound": f'token_jkt = "{ECKey.import_key(public_jwk()).thumbprint()}"',
        "elsewhere": 'allowed_ips = ["192.0.2.0/24"]',
        "expired": "",
    }
    entries += [
        f"""
[[client]]
client_id = "{name}"
name = "{name}"
organisation = "{TOWN_SIRET}"
sender_constraint = "none"
token_sha256 = "{TOKENS[name][1]}"
token_until = {"2026-01-01" if name == "expired" else tomorrow}
{more}
"""
        for name, more in extra.items()
    ]
    with world.registry.open("a", encoding="utf-8") as file:
        file.write("\n".join(entries))
    load_registry(world)


def public_jwk() -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return found


def ask(deployment: Deployment, path: str, *, token: str | None = None, **query: str) -> httpx.Response:
    """A request as the procurement application makes it; ``token`` empty: none."""
    given = deployment.world.buyers_token if token is None else token
    return httpx.get(
        f"{deployment.url}{path}",
        params=query,
        headers={"Authorization": f"Bearer {given}"} if given else {},
        timeout=30,
        trust_env=False,
    )


def bundle(deployment: Deployment, number: str, **changed: str) -> httpx.Response:
    return ask(deployment, f"/v1/bundles/{BUNDLE.name}", **({"siret": number} | WHY | changed))


def entries_of(deployment: Deployment, request_id: str) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in deployment.entries() if request_id in entry]


def problem_of(deployment: Deployment, document: Mapping[str, Any], slug: str) -> dict[str, Any]:
    """It is the registered one, with one entry under its id."""
    assert document["type"].rsplit("/", 1)[1] == slug
    assert document["status"] == problems()[slug].status
    (entry,) = entries_of(deployment, document["instance"].removeprefix("urn:uuid:"))
    assert entry["outcome"] == slug
    assert entry["kind"] in {"refusal", "failure"}
    return entry


def proof_of(deployment: Deployment, path: str, token: str) -> str:
    ath = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": token_urlsafe(8), "htm": "GET", "htu": deployment.url + path, "iat": int(time.time()), "ath": ath}
    return jwt.encode(claims, KEY, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": public_jwk()})
