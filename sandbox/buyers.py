"""The town's procurement application in the demo's registry: it asks about companies with a token of its own."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

from openapi.fields import Siret
from providers.manifest import manifests
from providers.model import Manifest
from sandbox.api_entreprise import HOLDER

CLIENT_ID = "marches-publics"
PURPOSE = "marche_public"
BIDDER = "00000001800010"
"""A company of the stand-in's that is in order."""

_VALID_DAYS = 365


def registry_entries(town: Siret, *, token_sha256: str, today: date) -> str:
    """Its ``[[client]]`` and one ``[[habilitation]]`` for each dataset about companies, with every field."""
    client = f"""
[[client]]
client_id = {_quoted(CLIENT_ID)}
name = "Marchés publics"
organisation = {_quoted(town)}
sender_constraint = "none"
token_sha256 = {_quoted(token_sha256)}
token_until = {today + timedelta(days=_VALID_DAYS)}
"""
    return client + "".join(_habilitations(town, today))


def _habilitations(town: Siret, today: date) -> Iterator[str]:
    for manifest in manifests().values():
        if manifest.holder == HOLDER:
            yield _habilitation(town, manifest, today)


def _habilitation(town: Siret, manifest: Manifest, today: date) -> str:
    fields = ", ".join(_quoted(name) for name in manifest.fields)
    return f"""
[[habilitation]]
id = {_quoted("valombre-" + manifest.dataset.replace("_", "-"))}
organisation = {_quoted(town)}
dataset = {_quoted(manifest.dataset)}
fields = [{fields}]
legal_basis = {_quoted(manifest.legal_basis)}
grounds = ["company"]
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=_VALID_DAYS)}
datapass = "DEMO-0002"

[[habilitation.purposes]]
code = {_quoted(PURPOSE)}
fr = "Vérifier les candidatures à un marché public"
en = "Check bids for a public contract"
"""


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among its own."""
    return json.dumps(text)
