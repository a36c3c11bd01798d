"""API Impôt Particulier: the adapter over its stand-in, which asks a FranceConnect of its own, all on real HTTP."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from joserfc.jwk import ECKey, KeySet

from consent.checktoken import TokenChecker
from consent.config import FranceConnectConfig
from openapi.fields import FRANCE, PivotIdentity, Siret
from providers.adapters.dgfip import Dgfip
from providers.config import HolderConfig
from providers.errors import ProviderError
from providers.manifest import manifests
from providers.port import Answer, HolderReply, HolderRequest, IdentityMissing, Query
from providers.registry import load
from sandbox import dgfip as stand_in
from sandbox.franceconnect import DataProvider, Person, Provider, router
from sandbox.franceconnect.provider import TOKEN_SECONDS
from sandbox.servers import sandbox_running
from tests.hostile_holder import HostileHolder
from tests.providers.replies import STATUSES, TROUBLES, bodies
from tests.sandbox.conftest import PARTNER, Clock, free_port
from tests.sandbox.test_franceconnect import REQUEST
from tests.thirdparty.franceconnect_browser import Browser

pytestmark = pytest.mark.enable_socket

GATEWAY_TOKEN = "the-gateways-own-token"
CANARY = "canary-franceconnect-token"
MANIFEST = manifests()["impot_particulier"]
EVERY_FIELD = tuple(MANIFEST.fields)
EVERY_SCOPE = "openid identite_pivot " + " ".join(stand_in.SCOPES)
PEOPLE = (
    Person("maelle", "1", PivotIdentity("TILLEFONTAINE", "female", FRANCE, ("Maëlle", "Odette"), "1991-04-17")),
    Person("anselme", "2", PivotIdentity("Corbevigne", "male", FRANCE, ("Anselme",), "1985-11-30")),
    Person("philomene", "3", PivotIdentity("QUERSAINT", "female", FRANCE, ("Philomène", "Rose"), "1978-01-08")),
    Person("theodule", "4", PivotIdentity("Mirabois", "male", FRANCE, ("Théodule",), "1969-03-21")),
)
KEY = ECKey.generate_key("P-256")
CLOCK = Clock()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """FranceConnect, and the DGFiP as a data provider that asks it about tokens."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    public = ECKey.import_key(KEY.as_dict(private=False))
    registered = DataProvider("dgfip", "dgfip-secret", public, stand_in.SCOPES)
    provider = Provider(f"{base}/api/v2", partners=[PARTNER], people=PEOPLE, data_providers=[registered], clock=CLOCK)
    checker = TokenChecker(FranceConnectConfig(f"{base}/api/v2", "dgfip", "dgfip-secret"), KeySet([KEY]), clock=CLOCK)
    app = FastAPI()
    app.include_router(router(provider), prefix="/api/v2")
    app.include_router(stand_in.router(stand_in.tax_households(), token=GATEWAY_TOKEN, checker=checker))
    with closing(checker), sandbox_running(app, port=port):
        yield base


def citizens_token(base: str, person: str, scope: str = EVERY_SCOPE) -> str:
    """What the town's application has in hand after she logged in to it."""
    issuer = f"{base}/api/v2"
    with Browser(issuer) as browser:
        code = browser.log_in(f"{issuer}/authorize?{urlencode(REQUEST | {'scope': scope})}", person=person)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": PARTNER.redirect_uris[0]}
    form |= {"client_id": PARTNER.client_id, "client_secret": PARTNER.client_secret}
    return str(httpx.post(f"{issuer}/token", data=form, trust_env=False).json()["access_token"])


def query(token: str | None, *, year: str = "2024", fields: tuple[str, ...] = EVERY_FIELD) -> Query:
    return Query(
        "impot_particulier",
        Siret("21990001600011"),
        str(uuid4()),
        fields,
        parameters={"annee": year},
        franceconnect_token=token,
    )


def ask(base: str, asked: Query, *, token: str = GATEWAY_TOKEN, deadline: float = 5) -> Answer:
    async def fetch() -> Answer:
        datasets = load({"dgfip": HolderConfig(base, token, deadline)})
        await datasets.start()
        try:
            dataset = datasets.get("impot_particulier")
            assert dataset is not None
            return await dataset.fetch(asked)
        finally:
            await datasets.close()

    return asyncio.run(fetch())


def refused(base: str, asked: Query, *, token: str = GATEWAY_TOKEN, deadline: float = 5) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(base, asked, token=token, deadline=deadline)
    assert asked.franceconnect_token is None or asked.franceconnect_token not in repr(caught.value)
    assert CANARY not in str(caught.value.facts)
    return caught.value


def test_her_token_gives_her_situation_of_the_year_under_api_particuliers_names(base: str) -> None:
    record = ask(base, query(citizens_token(base, "maelle"))).record
    assert record == {
        "revenu_fiscal_reference": 24150,
        "nombre_parts": 3.0,
        "situation_familiale": "M",
        "nombre_personnes_a_charge": 2,
        "annee_revenus": 2024,
        "annee_impot": 2025,
        "revenu_brut_global": 26833,
        "revenu_imposable": 24150,
        "impot_revenu_net_avant_corrections": 0,
        "montant_impot": 0,
        "date_recouvrement": "2025-07-31",
        "date_etablissement": "2025-07-08",
        "adresse_fiscale_taxation": "12 RUE DES TANNEURS 44000 NANTES",
        "declarant1": {
            "nom": None,
            "nom_naissance": "TILLEFONTAINE",
            "prenoms": "MAELLE ODETTE",
            "date_naissance": "1991-04-17",
        },
        "declarant2": {
            "nom": None,
            "nom_naissance": "BRANDELUNE",
            "prenoms": "ELOI",
            "date_naissance": "1989-09-02",
        },
    }


def test_the_year_before_has_its_own_figures(base: str) -> None:
    asked = query(citizens_token(base, "maelle"), year="2023", fields=("revenu_fiscal_reference", "nombre_parts"))
    assert ask(base, asked).record == {"revenu_fiscal_reference": 22980, "nombre_parts": 2.5}


def test_only_what_was_asked_for_is_read(base: str) -> None:
    asked = query(citizens_token(base, "anselme"), fields=("revenu_fiscal_reference",))
    assert ask(base, asked).record == {"revenu_fiscal_reference": 11820}


def test_what_her_scopes_do_not_open_does_not_come(base: str) -> None:
    token = citizens_token(base, "anselme", scope="openid identite_pivot dgfip_nbpart")
    assert ask(base, query(token)).record == {"nombre_parts": 2.0, "annee_revenus": 2024, "annee_impot": 2025}


def test_a_token_that_has_ended_is_refused_by_the_dgfip_itself(base: str) -> None:
    token = citizens_token(base, "maelle")
    CLOCK.now += TOKEN_SECONDS + 1
    assert refused(base, query(token)).slug == "franceconnect_token_inactive"


def test_a_token_that_franceconnect_never_gave_is_refused(base: str) -> None:
    assert refused(base, query(CANARY)).slug == "franceconnect_token_inactive"


def test_the_gateways_own_token_refused_is_the_operators_matter(base: str) -> None:
    assert refused(base, query(citizens_token(base, "maelle")), token="another").slug == "holder_refused_access"


@pytest.mark.parametrize(("person", "year"), [("theodule", "2024"), ("maelle", "2019")])
def test_a_person_or_a_year_without_a_file_is_unknown(base: str, person: str, year: str) -> None:
    assert refused(base, query(citizens_token(base, person), year=year)).slug == "citizen_unknown_to_holder"


def test_an_income_that_is_not_worked_out_yet_is_not_zero(base: str) -> None:
    token = citizens_token(base, "philomene")
    assert refused(base, query(token)).slug == "value_not_computable"
    assert ask(base, query(token, fields=("nombre_parts",))).record == {"nombre_parts": 1.0}


@pytest.mark.parametrize("year", ["", "1999", "24", "2024/../x", "20\uff124"])
def test_a_year_that_is_none_is_never_sent(year: str) -> None:
    assert refused("http://127.0.0.1:9", query(CANARY, year=year)).slug == "holder_refused_input"


def test_without_her_token_nobody_is_asked() -> None:
    with pytest.raises(IdentityMissing):
        ask("http://127.0.0.1:9", query(None))


@pytest.mark.parametrize(("trouble", "slug"), TROUBLES)
def test_each_trouble_of_the_dgfip_has_its_own_error(trouble: str, slug: str) -> None:
    with HostileHolder() as holder:
        holder.behave(trouble)
        assert refused(holder.url, query(CANARY), deadline=0.5).slug == slug


def _answered(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[Answer, HolderRequest]:
    sent: list[HolderRequest] = []

    async def send(request: HolderRequest) -> HolderReply:
        sent.append(request)
        return HolderReply(status, headers or {}, body)

    return asyncio.run(Dgfip(MANIFEST, clock=lambda: 7.0).fetch(query(CANARY), send)), sent[0]


def test_the_citizens_token_and_the_requests_id_go_in_their_headers_and_nowhere_else() -> None:
    answer, request = _answered(200, b'{"rfr": 1}')
    assert request.path == "/impotparticulier/1.0/situations/ir/assiettes/annrev/2024"
    assert request.query == ()
    headers = dict(request.headers)
    assert headers.pop("x-franceconnect-oauth") == CANARY
    assert len(headers.pop("x-correlation-id")) == 36
    assert headers == {}
    assert CANARY not in repr(request)
    assert answer.retrieved_at == 7


@pytest.mark.parametrize(
    ("status", "body", "slug"),
    [
        (204, b"", "citizen_unknown_to_holder"),
        (400, b"{}", "holder_refused_input"),
        (401, b'{"erreur": {"message": "x"}}', "franceconnect_token_inactive"),
        (401, b'{"fault": {"code": 900901}}', "holder_refused_access"),
        (401, b'{"erreur": "x"}', "holder_refused_access"),
        (403, b"{}", "holder_refused_access"),
        (404, b"{}", "citizen_unknown_to_holder"),
        (410, b"{}", "citizen_unknown_to_holder"),
        (429, b"{}", "holder_busy"),
        (500, b"{}", "holder_failed"),
        (503, b"{}", "holder_unreachable"),
        (504, b"{}", "holder_timeout"),
        (302, b"", "holder_answer_invalid"),
        (200, b'{"rfr": "24150"}', "holder_answer_invalid"),
        (200, b'{"rfr": true}', "holder_answer_invalid"),
        (200, b'{"nbPart": {}}', "holder_answer_invalid"),
        (200, b'{"pac": {"nbPac": "2"}}', "holder_answer_invalid"),
        (200, b'{"dateNaisDec1": {"annee": "x"}}', "holder_answer_invalid"),
        (200, b'{"dateNaisDec1": {"annee": []}}', None),
        (200, b"[]", "holder_answer_invalid"),
        (200, b"", "holder_answer_invalid"),
    ],
)
def test_each_answer_has_its_own_meaning(status: int, body: bytes, slug: str | None) -> None:
    if slug is None:
        _answered(status, body)
        return
    with pytest.raises(ProviderError) as caught:
        _answered(status, body)
    assert caught.value.slug == slug


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("0", 1), ("soon", 60), ("999999", 86400), ("86401", 86400)])
def test_how_long_to_wait_is_what_the_dgfip_says_within_a_day(said: str, seconds: int) -> None:
    with pytest.raises(ProviderError) as caught:
        _answered(429, b"", {"retry-after": said})
    assert caught.value.facts["retry_in"] == seconds


_NAMES = ("rfr", "nbPart", "sitFam", "pac", "nbPac", "nmNaiDec1", "dateNaisDec1", "annee", "erreur", "x")


@given(STATUSES, bodies(_NAMES))
@settings(max_examples=200)
def test_whatever_comes_back_ends_in_a_clean_record_or_a_declared_error(status: int, body: bytes) -> None:
    try:
        answer, _ = _answered(status, body)
    except ProviderError:
        return
    assert answer.record.keys() <= {path.split(".")[0] for path in MANIFEST.fields}


def test_a_franceconnect_that_is_away_is_the_dgfips_outage_not_the_citizens() -> None:
    port = free_port()
    checker = TokenChecker(
        FranceConnectConfig("http://127.0.0.1:9/api/v2", "dgfip", "s"), KeySet([KEY]), clock=CLOCK, timeout=2
    )
    app = FastAPI()
    app.include_router(stand_in.router([], token=GATEWAY_TOKEN, checker=checker))
    with closing(checker), sandbox_running(app, port=port):
        assert refused(f"http://127.0.0.1:{port}", query(CANARY)).slug == "holder_unreachable"
