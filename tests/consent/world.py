"""What surrounds consent in its tests: fakes behind its ports, an application that signs, a clock that is turned."""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient

from consent import errors, routes
from consent.authorization.forms import ASSERTION_TYPE
from consent.config import ConsentConfig
from consent.desk import Desk
from consent.errors import OAuthError
from consent.model import Citizen, Client, DatasetNotice, Detail, FieldNotice
from consent.ports import ConsentEvent, Permit, Refusal
from consent.sender import Sender
from consent.store import ConsentStore
from openapi.fields import Siret
from openapi.problem import AccordError

NOW = 1_800_000_000
ISSUER = "https://accord.example"
TOWN = Siret("73282932000074")
OTHER_TOWN = Siret("35600000000048")
CALLBACK = "https://portail.example/retour"
FIELDS = ("quotient_familial.valeur", "quotient_familial.mois", "adresse.code_postal_ville")
TYPES = dict(zip(FIELDS, ("integer", "integer", "string"), strict=True)) | {"enfants.date_naissance": "date"}
CITIZEN = Citizen(pseudonym="pseudonym-of-jeanne", identity="sealed.identity", acr="eidas1")
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0"
NOTICE = "ab" * 32
SENDER = Sender("POST", ISSUER + "/oauth/token")
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


def challenge(verifier: str = VERIFIER) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now + 0.5


class FakeCatalogue:
    def notice(self, dataset: str) -> DatasetNotice | None:
        if dataset not in ("quotient_familial", "revenu_fiscal"):
            return None
        fields = {name: FieldNotice(name, {"fr": name, "en": name}, type=of_type) for name, of_type in TYPES.items()}
        return DatasetNotice(dataset, {"fr": "QF"}, {"fr": "CNAF"}, fields, "consent")


@dataclass
class FakeRegistry:
    clients: dict[str, Client]
    valid_until: int = NOW + 400 * 86_400
    refusal: Refusal | None = None

    def client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def decide(self, client: Client, detail: Detail, *, now: int) -> Permit | Refusal:
        return self.refusal or Permit({"fr": "Tarif de la crèche"}, "CRPA L114-8", self.valid_until)

    def organisation_name(self, siret: Siret) -> str | None:
        return "Commune de Valombre"


@dataclass
class FakeJournal:
    events: list[ConsentEvent] = field(default_factory=list)
    broken: bool = False

    def record(self, event: ConsentEvent) -> int:
        if self.broken:
            raise AccordError("log_unavailable", retry_in=5)
        self.events.append(event)
        return len(self.events) - 1

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@dataclass
class FakeFeed:
    indexes: list[int] = field(default_factory=list)

    def changed(self, status_index: int, status: int) -> None:
        self.indexes.append(status_index)


@dataclass
class Application:
    """A registered application with its private key."""

    client: Client
    key: ec.EllipticCurvePrivateKey | RSAPrivateKey
    algorithm: str = "ES256"

    def claims(self, **changed: Any) -> dict[str, Any]:
        mine = self.client.client_id
        claims = {"iss": mine, "sub": mine, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": token_urlsafe(8)}
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def assertion(self, *, header: Mapping[str, Any] | None = None, **changed: Any) -> str:
        headers = {"kid": "k1", **(header or {})}
        return jwt.encode(self.claims(**changed), self.key, algorithm=self.algorithm, headers=headers)

    def proof(self, assertion: str | None = None) -> dict[str, str]:
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
        }


def changed_form(form: Mapping[str, str], changed: Mapping[str, str | None]) -> dict[str, str]:
    """A change to ``None`` leaves the parameter out."""
    return {name: value for name, value in {**form, **changed}.items() if value is not None}


@contextmanager
def refusal_alone(code: str) -> Iterator[None]:
    """What happens inside succeeds, or is refused in words that RFC 6749 allows."""
    try:
        yield
    except OAuthError as refused:
        if refused.code != code or not DESCRIPTION.fullmatch(refused.description):
            raise


def detail(**changed: Any) -> dict[str, Any]:
    members = {
        "type": "urn:accord:quotient_familial",
        "datatypes": list(FIELDS[:2]),
        "purpose": "tarification_creche",
        "recipient": TOWN,
        "access": "recurring",
        "expires_at": NOW + 90 * 86_400,
        "retention": "P90D",
    }
    return {name: value for name, value in (members | changed).items() if value is not None}


def public_jwk(key: ec.EllipticCurvePrivateKey | RSAPrivateKey) -> dict[str, Any]:
    if isinstance(key, RSAPrivateKey):
        return jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def make_client(client_id: str, key: ec.EllipticCurvePrivateKey | RSAPrivateKey, *, organisation: Siret) -> Client:
    jwk = public_jwk(key)
    return Client(
        client_id=client_id,
        name=client_id,
        organisation=organisation,
        organisation_name="Commune de Valombre",
        redirect_uris=(CALLBACK, CALLBACK + "?depuis=creche"),
        jwks={"keys": [{**jwk, "kid": "k1"}]},
        sender_constraint="none",
    )


@dataclass
class World:
    """One consent authority with everything around it."""

    config: ConsentConfig
    store: ConsentStore
    registry: FakeRegistry
    town: Application
    other: Application
    clock: Clock = field(default_factory=Clock)
    journal: FakeJournal = field(default_factory=FakeJournal)
    feed: FakeFeed = field(default_factory=FakeFeed)

    def __post_init__(self) -> None:
        self.desk = Desk(
            self.config,
            store=self.store,
            registry=self.registry,
            catalogue=FakeCatalogue(),
            journal=self.journal,
            feed=self.feed,
            clock=self.clock,
        )
        app = FastAPI()
        errors.install(app)
        app.include_router(routes.router(self.config, desk=self.desk, datasets=["quotient_familial", "revenu_fiscal"]))
        self.app = app
        self.http = TestClient(app, raise_server_exceptions=True)

    def form(self, **changed: str | None) -> dict[str, str]:
        """A pushed request in order."""
        form = {
            **self.town.proof(),
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            "state": "state-1",
            "authorization_details": json.dumps([detail()]),
        }
        return changed_form(form, changed)

    def push(self, **changed: str | None) -> str:
        answer = self.http.post("/oauth/par", data=self.form(**changed))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_uri"])

    def agree(self, request_uri: str | None = None, *, fields: tuple[tuple[str, ...], ...] = (FIELDS[:2],)) -> str:
        """The citizen agrees until the end that was asked for; the code is returned."""
        pending = self.desk.pending(self.town.client.client_id, request_uri or self.push())
        back = self.desk.agree(pending, CITIZEN, fields=fields, expires_at=pending.latest_end, notice_sha256=NOTICE)
        return parse_qs(urlsplit(back).query)["code"][0]

    def token_form(self, code: str, **changed: str | None) -> dict[str, str]:
        form = {
            **self.town.proof(),
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return changed_form(form, changed)

    def redeem(self, code: str, **changed: str | None) -> Any:
        return self.http.post("/oauth/token", data=self.token_form(code, **changed))

    def later(self, seconds: int) -> None:
        self.clock.now += seconds
