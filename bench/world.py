"""What every gateway in the bench is given: keys, consent tokens, a registry, the holder's answer. All fictional."""

import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from bench.processes import Cores, Launch, run_to_end
from consent.config import ConsentConfig, FranceConnectConfig
from consent.identity import pseudonym, seal
from consent.keys import SigningKey
from consent.model import Detail, Grant
from consent.status import LIST_SIZE
from consent.tokens import make_token
from exchange.keyring import Keyring, load_keyring
from openapi.fields import FRANCE, CogCode, PivotIdentity, siret

ISSUER = "https://accord.example.org"
DATASET = "quotient_familial"
PATH = f"/v1/data/{DATASET}"
DISTINCT_TOKENS = 2_000
EXPECTED = '"valeur":1284'
"""What every right answer holds, as compact JSON writes it."""

CLIENT_ID = "portail-famille"
RECIPIENT = siret("21990001600011")
PURPOSE = "tarification_creche"
FIELDS = (
    "quotient_familial.fournisseur",
    "quotient_familial.valeur",
    "quotient_familial.annee",
    "quotient_familial.mois",
)

_GRANT_SECONDS = 86_400
_BIRTHPLACE = CogCode("35238")


@dataclass(frozen=True, slots=True)
class World:
    """What a gateway is started with. ``folder`` is on a disk: durable writes must cost what they cost."""

    folder: Path
    cores: Cores
    holder_url: str
    keyring: Keyring
    environment: Mapping[str, str]
    """Settings of Accord that do not depend on its database or port."""

    @property
    def tokens(self) -> Path:
        """The file of the tokens now in use, one a line."""
        return self.folder / "tokens.txt"

    def first_token(self) -> str:
        """One of them."""
        with self.tokens.open(encoding="ascii") as lines:
            return lines.readline().strip()


def make_world(folder: Path, *, cores: Cores, holder_url: str) -> World:
    """Make the keys with Accord's own command and the registry file. Raises ``CannotRun``."""
    keys = folder / "keys"
    environment = _environment(keys, holder_url)
    accord(["keys", "init"], environment, folder=folder, core=cores.rest)
    world = World(folder, cores, holder_url, load_keyring(keys), environment)
    (folder / "registry.toml").write_text(_registry() + habilitation(DATASET), encoding="utf-8")
    return world


def accord(arguments: list[str], environment: Mapping[str, str], *, folder: Path, core: int) -> str:
    """Run one of Accord's commands to its end; its output."""
    launch = Launch(
        accord_command(*arguments), core=core, folder=folder, log=folder / "accord.log", environment=environment
    )
    return run_to_end(launch)


def accord_command(*arguments: str) -> list[str]:
    """The command ``accord``, under this Python."""
    return [sys.executable, "-m", "exchange", *arguments]


def write_tokens(world: World, *, dataset: str = DATASET, name: str = "tokens.txt") -> Path:
    """Mint distinct tokens of the real shape, each for another citizen and grant, good for ten minutes from now."""
    config = _consent_config(world.keyring)
    now = int(time.time())
    grants = _grants(world.keyring, now, dataset)
    lines = [make_token(grant, config, now=now, jti=str(uuid4())).token for grant in grants]
    file = world.folder / name
    file.write_text("\n".join(lines) + "\n", encoding="ascii")
    return file


def holder_answer() -> bytes:
    """The answer of API Particulier v3 for a family with two children, as compact JSON."""
    people = [
        ("DURAND-TEST", "CAMILLE", "1988-03-14", "F"),
        ("DURAND-TEST", "ALIX", "2016-09-02", "M"),
        ("DURAND-TEST", "LOU", "2021-01-27", "F"),
    ]
    allocataire, *enfants = [
        {"nom_naissance": name, "nom_usage": None, "prenoms": given, "date_naissance": born, "sexe": sex}
        for name, given, born, sex in people
    ]
    adresse = {
        "destinataire": "Madame DURAND-TEST CAMILLE",
        "complement_information": None,
        "complement_information_geographique": None,
        "numero_libelle_voie": "3 RUE DES ESSAIS",
        "lieu_dit": None,
        "code_postal_ville": "35000 RENNES",
        "pays": "FRANCE",
    }
    quotient = {
        "fournisseur": "CNAF",
        "valeur": 1284,
        "annee": 2026,
        "mois": 10,
        "annee_calcul": 2026,
        "mois_calcul": 11,
    }
    data = {"allocataires": [allocataire], "enfants": enfants, "adresse": adresse, "quotient_familial": quotient}
    return json.dumps({"data": data, "links": {}, "meta": {}}, separators=(",", ":")).encode()


def _grants(keyring: Keyring, now: int, dataset: str) -> Iterator[Grant]:
    detail = Detail(
        dataset=dataset,
        fields=FIELDS,
        purpose=PURPOSE,
        recipient=RECIPIENT,
        access="recurring",
        expires_at=now + _GRANT_SECONDS,
        retention="P90D",
    )
    for number in range(DISTINCT_TOKENS):
        identity = PivotIdentity(
            family_name=f"DURAND-TEST-{number}",
            gender="female",
            birthcountry=FRANCE,
            given_names=("CAMILLE", "ALIX"),
            birthdate="1988-03-14",
            birthplace=_BIRTHPLACE,
        )
        citizen = pseudonym(identity, keyring.pseudonym)
        yield Grant(
            grant_id=str(uuid4()),
            client_id=CLIENT_ID,
            recipient=RECIPIENT,
            citizen=citizen,
            details=(detail,),
            identity=seal(identity, citizen, keyring.sealing),
            acr="eidas1",
            legal_basis="consent",
            notice_sha256=secrets.token_hex(32),
            status_index=secrets.randbelow(LIST_SIZE),
            given_at=now,
            expires_at=now + _GRANT_SECONDS,
        )


def _consent_config(keyring: Keyring) -> ConsentConfig:
    return ConsentConfig(
        issuer=ISSUER,
        audience=ISSUER,
        franceconnect=FranceConnectConfig("https://franceconnect.example.org/api/v2", "bench", secrets.token_hex()),
        keys=keyring,
        session_key=keyring.session,
        pseudonym_key=keyring.pseudonym,
    )


def _environment(keys: Path, holder_url: str) -> Mapping[str, str]:
    """Our own environment without the reader's own deployment, if she has one."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
        "ACCORD_ISSUER": ISSUER,
        "ACCORD_KEYS_DIR": str(keys),
        "ACCORD_FRANCECONNECT__ISSUER": "https://franceconnect.example.org/api/v2",
        "ACCORD_FRANCECONNECT__CLIENT_ID": "bench",
        "ACCORD_FRANCECONNECT__CLIENT_SECRET": secrets.token_hex(),
        "ACCORD_HOLDERS__API_PARTICULIER__URL": holder_url,
        "ACCORD_HOLDERS__API_PARTICULIER__TOKEN": secrets.token_hex(),
        # The bench's holder has no limits.
        "ACCORD_HOLDERS__API_PARTICULIER__ALLOWANCE": "10000",
    }


def _registry() -> str:
    jwk = SigningKey("bench", generate_private_key(SECP256R1())).public_jwk()
    members = ", ".join(f"{name} = {json.dumps(value)}" for name, value in jwk.items())
    return f"""\
[[organisation]]
siret = "{RECIPIENT}"
name = "Commune de Valombre"

[[client]]
client_id = "{CLIENT_ID}"
name = "Portail famille"
organisation = "{RECIPIENT}"
redirect_uris = ["https://portail.example.org/retour"]
jwks = {{ keys = [{{ {members} }}] }}
sender_constraint = "none"
"""


def habilitation(dataset: str) -> str:
    """What the registry's file says so that the town may ask for a dataset."""
    today = datetime.now(UTC).date()
    return f"""\

[[habilitation]]
id = "valombre-{dataset}"
organisation = "{RECIPIENT}"
clients = ["{CLIENT_ID}"]
dataset = "{dataset}"
fields = {json.dumps(FIELDS)}
legal_basis = "consent"
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=2)}
purposes = [{{ code = "{PURPOSE}", fr = "Calculer le tarif de la crèche", en = "Work out what the nursery costs" }}]
"""
