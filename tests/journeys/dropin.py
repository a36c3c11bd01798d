"""A town with applications that were written for API Particulier, and a FranceConnect whose data provider Accord is."""

import hashlib
import json
import shutil
import socket
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
from fastapi import FastAPI
from joserfc.jwk import ECKey, KeySet

from exchange.application import new_token
from exchange.dropin.citizen_paths import ways_to
from providers.manifest import manifests
from providers.model import Manifest
from sandbox.api_particulier import Family, load_families
from sandbox.app import people_of
from sandbox.franceconnect import DataProvider, Partner, Provider, router
from sandbox.servers import sandbox_running
from sandbox.world import DATABASE_FILE, TOWN_SIRET, World
from tests.journeys.deployment import Deployment, deployed, free_ports, load_registry
from tests.state_contract import check_against
from tests.thirdparty.franceconnect_browser import Browser

ENVELOPE = {"data", "links", "meta"}

FOLDERS = {
    "civility": "api_particulier_v3_cnav_quotient_familial_with_civility",
    "france_connect": "api_particulier_v3_cnav_quotient_familial_with_france_connect",
}
IDENTITE, FRANCE_CONNECT = "/v3/dss/quotient_familial/identite", "/v3/dss/quotient_familial/france_connect"
FIELDS = tuple(sorted(manifests()["quotient_familial"].fields))
OTHERS = [
    one
    for one in manifests().values()
    if one.holder == "api_particulier" and one.path.endswith("/identite") and one.dataset != "quotient_familial"
]
"""The other datasets that are asked for by identity."""
IDENTIFIED = {
    path: (one, way.identifier)
    for one in manifests().values()
    for path, way in ways_to(one).items()
    if way.identifier is not None
}
"""The paths that ask by a number or an account: of which dataset, and by which parameter."""
SCOPES = manifests()["quotient_familial"].scopes
EDITOR_SIRET, OTHER_TOWN = "73282932000074", "35600000000048"
PARTNER = Partner("portail-citoyen", "a-secret-of-this-test", ("https://portail.example/retour",))
KEY = ECKey.generate_key("P-256")
PROVIDER_SECRET = "a-data-providers-secret-of-this-test"

_HABILITATION = """
[[habilitation]]
id = "{id}"
organisation = "{organisation}"
clients = {clients}
dataset = "{dataset}"
fields = {fields}
legal_basis = "public_task"
valid_from = {since}
valid_until = {until}
grounds = {grounds}
[[habilitation.purposes]]
code = "tarification"
fr = "Calculer le tarif"
en = "Work out the price"
"""
_DELEGATION = """
[[delegation]]
id = "convention-1"
organisation = "{organisation}"
delegate = "{delegate}"
valid_from = {since}
valid_until = {until}
"""
_CLIENT = """
[[client]]
client_id = "{id}"
name = "{id}"
organisation = "{organisation}"
sender_constraint = "none"
token_sha256 = "{sha256}"
token_until = {until}
{more}
"""


@dataclass(frozen=True, slots=True)
class Town:
    """The deployment, its families by file name, and the tokens of its applications."""

    deployment: Deployment
    families: Mapping[str, Family]
    issuer: str
    """FranceConnect's."""
    tokens: Mapping[str, str] = field(repr=False)

    def get(self, path: str, token: str | None, params: object = None, **headers: str) -> httpx.Response:
        """One call, as an application makes it."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return httpx.get(f"{self.deployment.url}{path}", params=params, headers=sent, timeout=20, trust_env=False)  # type: ignore[arg-type]  # pairs or a mapping

    def franceconnect_token(self, name: str, *, scopes: tuple[str, ...] = SCOPES) -> str:
        """The access token that the citizen's portal has in hand after her login."""
        asked = {
            "response_type": "code",
            "client_id": PARTNER.client_id,
            "redirect_uri": PARTNER.redirect_uris[0],
            "scope": " ".join(("openid", "identite_pivot", *scopes)),
            "acr_values": "eidas1",
            "state": "a-state-of-this-test-0123456789",
            "nonce": "a-nonce-of-this-test-0123456789",
        }
        person = people_of(list(self.families.values()))[list(self.families).index(name)].key
        with Browser(self.issuer) as browser:
            code = browser.log_in(f"{self.issuer}/authorize?{urlencode(asked)}", person=person)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": PARTNER.redirect_uris[0],
            "client_id": PARTNER.client_id,
            "client_secret": PARTNER.client_secret,
        }
        return str(httpx.post(f"{self.issuer}/token", data=form, trust_env=False).json()["access_token"])

    def consent_token(self, name: str, **detail: object) -> str:
        """A consent token of the citizen of a family file, for the town's portal."""
        told = {"datatypes": list(FIELDS), **detail}
        return self.deployment.token(person=list(self.families).index(name), detail=told).decode()

    def proof(self, path: str, token: str) -> str:
        """A DPoP proof (RFC 9449) of the key that the application ``lie`` is bound to."""
        return proof_of(self.deployment.url + path, token)

    def details(self, count: int) -> list[dict[str, Any]]:
        """The sealed parts of the last entries, oldest first."""
        with sqlite3.connect(self.deployment.world.folder / DATABASE_FILE, timeout=10) as connection:
            rows = connection.execute(
                'SELECT detail FROM log_details ORDER BY "index" DESC LIMIT ?', (count,)
            ).fetchall()
        return [json.loads(row[0]) for row in reversed(rows)]

    def entries(self) -> list[dict[str, Any]]:
        """The log, oldest first."""
        return [json.loads(entry) for entry in self.deployment.entries()]


@contextmanager
def town(folder: Path, reference: Path, *, kinds: tuple[str, ...] = tuple(FOLDERS)) -> Iterator[Town]:
    """The whole of it, running, over the State's fixtures of these ``kinds``."""
    merged = _merged(folder / "families", reference / "api-particulier" / "fixtures", kinds)
    families = {file.stem: family for file, family in zip(_files(merged), load_families(merged), strict=True)}
    (port,) = free_ports(1)
    issuer = f"http://localhost:{port}/api/v2"
    key = ECKey.generate_key("P-256")
    keys = folder / "franceconnect.json"
    keys.write_text(json.dumps(KeySet([key]).as_dict(private=True)))
    asking = DataProvider("accord-fd", PROVIDER_SECRET, ECKey.import_key(key.as_dict(private=False)), SCOPES)
    provider = Provider(issuer, partners=[PARTNER], people=people_of(list(families.values())), data_providers=[asking])
    app = FastAPI()
    app.include_router(router(provider), prefix="/api/v2")
    given = {
        "ACCORD_FRANCECONNECT__ISSUER": issuer,
        "ACCORD_FRANCECONNECT_DATA__CLIENT_ID": "accord-fd",
        "ACCORD_FRANCECONNECT_DATA__CLIENT_SECRET": PROVIDER_SECRET,
        "ACCORD_FRANCECONNECT_DATA__KEYS": str(keys),
    }
    tokens: dict[str, str] = {}
    with (
        sandbox_running(app, port=port),
        deployed(
            folder / "world",
            fixtures=merged,
            fields=FIELDS,
            settings=given,
            before=lambda world: _register(world, tokens),
        ) as deployment,
    ):
        yield Town(deployment, families, issuer, tokens)


def proof_of(url: str, token: str, *, key: ECKey = KEY) -> str:
    """A DPoP proof (RFC 9449) of a ``GET`` with a token, by ``key``."""
    ath = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": token_urlsafe(8), "htm": "GET", "htu": url, "iat": int(time.time()), "ath": ath}
    header = {"typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return jwt.encode(claims, key.raw_value, algorithm="ES256", headers=header)  # type: ignore[arg-type]  # an EC private key


def raw(url: str, request: bytes) -> tuple[int, Mapping[str, str], bytes]:
    """Send bytes as they are over a socket; status, headers and body of the answer."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as connection:
        connection.sendall(request)
        stream = connection.makefile("rb")
        status = int(stream.readline().split()[1])
        head = b"".join(iter(stream.readline, b"\r\n"))
        headers = {name.lower(): value for name, value in BytesParser().parsebytes(head).items()}
        return status, headers, stream.read(int(headers["content-length"]))


def params_of(family: Family) -> list[tuple[str, str]]:
    """The query that a family file answers to."""
    pairs: list[tuple[str, str]] = [("recipient", TOWN_SIRET)]
    for name, value in family.params.items():
        pairs += [("prenoms[]", one) for one in value] if name == "prenoms" else [(name, str(value))]
    return [(name, value) for name, value in pairs if value]


def _merged(folder: Path, fixtures: Path, kinds: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True)
    for kind in kinds:
        for file in (fixtures / FOLDERS[kind]).iterdir():
            shutil.copy(file, folder / f"{kind}__{file.stem}.yaml")
    return folder


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _whole(manifest: Manifest) -> dict[str, Any]:
    return {"dataset": manifest.dataset, "fields": sorted(manifest.fields)}


def _register(world: World, tokens: dict[str, str]) -> None:
    today = datetime.now(UTC).date()
    dates = {"since": today - timedelta(days=1), "until": today + timedelta(days=30)}

    def client(client_id: str, organisation: str, more: str = "") -> str:
        tokens[client_id], sha256 = new_token()
        return _CLIENT.format(id=client_id, organisation=organisation, sha256=sha256, more=more, **dates)

    def habilitation(name: str, organisation: str, clients: list[str], grounds: list[str], **changed: Any) -> str:
        fields, dataset = changed.get("fields", FIELDS), changed.get("dataset", "quotient_familial")
        return _HABILITATION.format(
            id=name,
            organisation=organisation,
            clients=json.dumps(clients),
            dataset=dataset,
            fields=json.dumps(list(fields)),
            grounds=json.dumps(grounds),
            **dates,
        )

    parts = [
        f'\n[[organisation]]\nsiret = "{EDITOR_SIRET}"\nname = "Éditeur"\n',
        f'\n[[organisation]]\nsiret = "{OTHER_TOWN}"\nname = "Autre commune"\n',
        client("noethys", TOWN_SIRET),
        client("guichet", TOWN_SIRET),
        client("masque", TOWN_SIRET),
        client("sans-droit", TOWN_SIRET),
        client("adresse", TOWN_SIRET, 'allowed_ips = ["192.0.2.0/24"]'),
        client("portail-citoyen", TOWN_SIRET, f'franceconnect_client_id = "{PARTNER.client_id}"'),
        client("editeur", EDITOR_SIRET),
        client("lie", TOWN_SIRET, f'token_jkt = "{KEY.thumbprint()}"'),
        habilitation("noethys", TOWN_SIRET, ["noethys", "adresse", "lie"], ["application"]),
        habilitation("guichet", TOWN_SIRET, ["guichet"], ["agent"]),
        habilitation("masque", TOWN_SIRET, ["masque"], ["application"], fields=["quotient_familial.valeur"]),
        habilitation("portail-citoyen", TOWN_SIRET, ["portail-citoyen"], ["franceconnect"]),
        habilitation("autre", OTHER_TOWN, [], ["application"]),
        _DELEGATION.format(organisation=OTHER_TOWN, delegate=EDITOR_SIRET, **dates),
    ]
    parts += [
        habilitation(f"noethys-{one.dataset}", TOWN_SIRET, ["noethys"], ["application"], **_whole(one))
        for one in OTHERS
    ]
    asked_by_number = {manifest.dataset: manifest for manifest, _ in IDENTIFIED.values()}
    for one in asked_by_number.values():
        grounds = {"guichet": "agent", "portail-famille": "consent"}
        if one not in OTHERS:
            grounds["noethys"] = "application"
        parts += [
            habilitation(f"{name}-{one.dataset}", TOWN_SIRET, [name], [ground], **_whole(one))
            for name, ground in grounds.items()
        ]
    # The portal, which asks for authorisations, has a token of its own too.
    tokens["portail-famille"], sha256 = new_token()
    portal = 'client_id = "portail-famille"\n'
    also = f'token_sha256 = "{sha256}"\ntoken_until = {dates["until"]}\n'
    written = world.registry.read_text(encoding="utf-8").replace(portal, portal + also, 1)
    world.registry.write_text(written + "".join(parts), encoding="utf-8")
    load_registry(world)


def check_answer(reference: Path, path: str, answer: httpx.Response, family: Family, name: str) -> None:
    """As the family's file and the State's contract say it, headers and all."""
    assert answer.status_code == family.status, (name, answer.text)
    assert answer.json() == family.payload, name
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["ratelimit-limit"] == "20"
    assert 0 <= int(answer.headers["ratelimit-remaining"]) < 20
    assert abs(int(answer.headers["ratelimit-reset"]) - time.time()) < 3
    check_against(reference / "api-particulier" / "openapi.yaml", path, family.status, answer.json())
    if family.status == 200:
        assert answer.json().keys() == ENVELOPE
        assert answer.headers["x-response-cached"] == "false"
        assert answer.headers["x-cache-expires-in"] == ""
