"""The tax situation of a citizen who agreed: her consent token and her FranceConnect token, on a whole deployment.

FranceConnect has two data providers here, each with its own registration: Accord, which asks whose her token is, and
the DGFiP, which asks again.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey, KeySet

from consent.checktoken import TokenChecker
from consent.config import FranceConnectConfig
from providers.manifest import manifests
from sandbox import dgfip
from sandbox.app import people_of
from sandbox.franceconnect import DataProvider, Partner, Provider, router
from sandbox.servers import LOG_FILE, sandbox_running
from sandbox.world import CLIENT_ID, DATABASE_FILE, TOWN_SIRET, World
from tests.journeys.deployment import Deployment, deployed, free_ports, load_registry
from tests.thirdparty.franceconnect_browser import Browser

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(180)]

FIELDS = ("revenu_fiscal_reference", "nombre_parts", "situation_familiale", "annee_revenus")
PARTNER = Partner("portail-at-franceconnect", "a-secret-of-this-test", ("https://portail.example/retour",))
STRANGER = Partner("stranger-at-franceconnect", "another-secret-of-this-test", ("https://ailleurs.example/retour",))
HOLDER_TOKEN, HOLDER_SECRET = "the-gateways-token-at-the-dgfip", "the-gateways-secret-at-the-dgfip"
SCOPES = manifests()["impot_particulier"].scopes
MAELLE, ANSELME = 0, 1


@dataclass(frozen=True, slots=True)
class Town:
    """The deployment, and FranceConnect's issuer."""

    deployment: Deployment
    issuer: str

    def ask(self, consent: str, citizens: str | None, *, query: str = "?annee=2024") -> httpx.Response:
        """One exchange, with both tokens."""
        headers = {"Authorization": f"Bearer {consent}"}
        if citizens is not None:
            headers["X-FranceConnect-OAuth"] = citizens
        url = f"{self.deployment.url}/v1/data/impot_particulier{query}"
        return httpx.get(url, headers=headers, timeout=20, trust_env=False)

    def consent_token(self, person: int) -> str:
        detail = {"type": "urn:accord:impot_particulier", "datatypes": list(FIELDS), "purpose": "tarif"}
        return self.deployment.token(person=person, detail=detail).decode()

    def citizens_token(self, person: int, partner: Partner = PARTNER) -> str:
        """What the application has in hand after she logged in to it."""
        asked = {
            "response_type": "code",
            "client_id": partner.client_id,
            "redirect_uri": partner.redirect_uris[0],
            "scope": " ".join(("openid", "identite_pivot", *SCOPES)),
            "acr_values": "eidas1",
            "state": "a-state-of-this-test-0123456789",
            "nonce": "a-nonce-of-this-test-0123456789",
        }
        key = people_of(self.deployment.world.sandbox.families)[person].key
        with Browser(self.issuer) as browser:
            code = browser.log_in(f"{self.issuer}/authorize?{urlencode(asked)}", person=key)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": partner.redirect_uris[0],
            "client_id": partner.client_id,
            "client_secret": partner.client_secret,
        }
        return str(httpx.post(f"{self.issuer}/token", data=form, trust_env=False).json()["access_token"])

    def last(self) -> Mapping[str, Any]:
        """The newest entry of the log."""
        found: Mapping[str, Any] = json.loads(self.deployment.entries()[-1])
        return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("impot")
    (port,) = free_ports(1)
    base = f"http://localhost:{port}"
    keys = {name: ECKey.generate_key("P-256") for name in ("accord-fd", "dgfip-fd")}
    (folder / "franceconnect.json").write_text(json.dumps(KeySet([keys["accord-fd"]]).as_dict(private=True)))
    settings = {
        "ACCORD_FRANCECONNECT__ISSUER": f"{base}/api/v2",
        "ACCORD_FRANCECONNECT_DATA__CLIENT_ID": "accord-fd",
        "ACCORD_FRANCECONNECT_DATA__CLIENT_SECRET": "accord-fd-secret",
        "ACCORD_FRANCECONNECT_DATA__KEYS": str(folder / "franceconnect.json"),
        "ACCORD_HOLDERS__DGFIP__URL": base,
        "ACCORD_HOLDERS__DGFIP__CLIENT_ID": "valombre",
        "ACCORD_HOLDERS__DGFIP__CLIENT_SECRET": HOLDER_SECRET,
        "ACCORD_HOLDERS__DGFIP__SCOPE": "RessourceIR",
        "ACCORD_HOLDERS__DGFIP__HEADERS": '{"ID_Teleservice": "valombre-creche"}',
    }
    app = FastAPI()
    with deployed(folder / "world", settings=settings, before=_habilitate) as running:
        people = people_of(running.world.sandbox.families)
        registered = [
            DataProvider(name, f"{name}-secret", ECKey.import_key(key.as_dict(private=False)), SCOPES)
            for name, key in keys.items()
        ]
        provider = Provider(f"{base}/api/v2", partners=[PARTNER, STRANGER], people=people, data_providers=registered)
        app.include_router(router(provider), prefix="/api/v2")
        with _asking(f"{base}/api/v2", keys["dgfip-fd"]) as checker:
            credentials = f"valombre:{HOLDER_SECRET}"
            stand_in = dgfip.router(
                dgfip.tax_households(), token=HOLDER_TOKEN, checker=checker, credentials=credentials
            )
            app.include_router(stand_in)
            with sandbox_running(app, port=port):
                yield Town(running, f"{base}/api/v2")
        verdict = running.verify()
    assert verdict.ok, verdict.findings


@contextmanager
def _asking(issuer: str, key: ECKey) -> Iterator[TokenChecker]:
    """The DGFiP's side of FranceConnect."""
    config = FranceConnectConfig(issuer, "dgfip-fd", "dgfip-fd-secret")
    with closing(TokenChecker(config, KeySet([key]), clock=lambda: datetime.now(UTC).timestamp())) as checker:
        yield checker


def _habilitate(world: World) -> None:
    today = datetime.now(UTC).date()
    registry = world.registry.read_text(encoding="utf-8")
    client = f'client_id = "{CLIENT_ID}"\n'
    assert client in registry
    added = f"""
[[habilitation]]
id = "valombre-impot"
organisation = "{TOWN_SIRET}"
dataset = "impot_particulier"
fields = {list(FIELDS)}
purposes = [{{ code = "tarif", fr = "Calculer le tarif", en = "Work out the price" }}]
legal_basis = "consent"
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=30)}
"""
    ours = f'{client}franceconnect_client_id = "{PARTNER.client_id}"\n'
    world.registry.write_text(registry.replace(client, ours, 1) + added, encoding="utf-8")
    load_registry(world)


def test_with_both_tokens_of_hers_the_situation_of_the_year_is_exchanged(town: Town) -> None:
    consent, citizens = town.consent_token(MAELLE), town.citizens_token(MAELLE)
    answer = town.ask(consent, citizens)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {
        "revenu_fiscal_reference": 24150,
        "nombre_parts": 3.0,
        "situation_familiale": "M",
        "annee_revenus": 2024,
    }
    entry = town.last()
    assert (entry["kind"], entry["dataset"], entry["provider"]) == ("access", "impot_particulier", "dgfip")
    before = town.ask(consent, citizens, query="?annee=2023&fields=revenu_fiscal_reference")
    assert before.json()["data"] == {"revenu_fiscal_reference": 22980}


def test_the_token_of_another_citizen_gives_nobodys_data(town: Town) -> None:
    answer = town.ask(town.consent_token(MAELLE), town.citizens_token(ANSELME))
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (403, "identity_not_consented")
    assert (town.last()["kind"], town.last()["outcome"]) == ("refusal", "identity_not_consented")
    assert "11820" not in answer.text


def test_a_token_that_another_application_got_is_refused(town: Town) -> None:
    answer = town.ask(town.consent_token(MAELLE), town.citizens_token(MAELLE, STRANGER))
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (403, "client_unknown")


@pytest.mark.parametrize(
    ("citizens", "query", "status", "slug", "field"),
    [
        (None, "?annee=2024", 400, "request_malformed", "X-FranceConnect-OAuth"),
        ("two words", "?annee=2024", 400, "request_malformed", "X-FranceConnect-OAuth"),
        ("never-given", "?annee=2024", 401, "franceconnect_token_inactive", None),
        ("never-given", "", 400, "request_malformed", "annee"),
        ("never-given", "?annee=1789", 400, "request_malformed", "annee"),
        ("never-given", "?annee=2024&x-franceconnect-oauth=x", 400, "request_malformed", "query"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_asked(
    town: Town, citizens: str | None, query: str, status: int, slug: str, field: str | None
) -> None:
    answer = town.ask(town.consent_token(MAELLE), citizens, query=query)
    problem = answer.json()
    assert (answer.status_code, problem["type"].rsplit("/", 1)[1]) == (status, slug)
    assert problem.get("field") == field
    assert (town.last()["kind"], town.last()["outcome"]) == ("refusal", slug)


def test_her_franceconnect_token_is_read_for_no_other_dataset(town: Town) -> None:
    headers = {"Authorization": f"Bearer {town.deployment.token().decode()}", "X-FranceConnect-OAuth": "two words"}
    answer = httpx.get(f"{town.deployment.url}/v1/data/quotient_familial", headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text


def test_neither_token_nor_income_is_written_anywhere(town: Town) -> None:
    consent, citizens = town.consent_token(MAELLE), town.citizens_token(MAELLE)
    assert town.ask(consent, citizens).status_code == 200
    refused = town.citizens_token(ANSELME)
    assert town.ask(consent, refused).status_code == 403
    folder = town.deployment.world.folder
    with sqlite3.connect(folder / DATABASE_FILE, timeout=10) as connection:
        written = "\n".join(connection.iterdump()) + (folder / LOG_FILE).read_text()
    for canary in (citizens, refused, consent, HOLDER_TOKEN, HOLDER_SECRET, "24150", "TILLEFONTAINE"):
        assert canary not in written, canary
