"""The pages' surroundings in tests: ten-line fakes behind the ports, and an application around the real pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from fastapi import FastAPI
from starlette.responses import Response

from audit.checkpoint import NoteSigner
from consent.config import ConsentConfig, FranceConnectConfig
from consent.desk import PendingAuthorization
from consent.errors import OAuthError
from consent.keys import FixedKeys, SealingKeys, SigningKey, TokenKeys
from consent.model import Citizen, Client, DatasetNotice, Detail, FieldNotice, Grant
from consent.pages.routes import relying_party, router
from consent.ports import AccessPage, AccessView, Export, Permit, Refusal
from consent.records import KeptNotice
from consent.session import Sessions
from exchange.bridge import LogAccesses
from openapi.fields import Siret
from openapi.problem import AccordError

NOW = 1_795_500_000
"""24 November 2026, 07:00 in Paris."""
DAY = 86_400
ISSUER = "https://accord.example"
LOG = NoteSigner.generate("accord.example/log")
"""The key of the deployment's log."""
SESSION_KEY = bytes(range(32))
SIRET = Siret("21350238800019")
REQUEST_URI = "urn:ietf:params:oauth:request_uri:abc"
AUTHORIZE = "/oauth/authorize?" + urlencode({"client_id": "portail-famille", "request_uri": REQUEST_URI})
CALLBACK = "https://portail.valombre.example/retour"

CLIENT = Client("portail-famille", "Portail famille", SIRET, "Commune de Valombre", (CALLBACK,), {"keys": []}, "none")
DETAIL = Detail(
    dataset="quotient_familial",
    fields=("quotient_familial.valeur", "quotient_familial.fournisseur", "adresse.code_postal_ville"),
    purpose="tarification_creche",
    recipient=SIRET,
    access="recurring",
    retention="P90D",
)
PERMIT = Permit({"fr": "Calculer le tarif de la crèche", "en": "Work out the nursery fee"}, "consent", NOW + 400 * DAY)
NOTICE = DatasetNotice(
    dataset="quotient_familial",
    title={"fr": "Quotient familial", "en": "Family quotient"},
    holder={
        "fr": "Caisse d'allocations familiales (CAF) ou Mutualité sociale agricole (MSA)",
        "en": "Family allowance fund (CAF) or agricultural fund (MSA)",
    },
    fields={
        name: FieldNotice(name, {"fr": fr, "en": en})
        for name, fr, en in (
            ("quotient_familial.valeur", "Montant du quotient familial", "Amount of the family quotient"),
            ("quotient_familial.fournisseur", "Organisme qui le calcule", "Body that works it out"),
            ("adresse.code_postal_ville", "Code postal et commune", "Postcode and town"),
        )
    },
    legal_basis="consent",
)
CITIZEN = Citizen("pseudonym-of-camille", "sealed.identity", "eidas1")
PENDING = PendingAuthorization(
    request_uri=REQUEST_URI,
    client=CLIENT,
    details=(DETAIL,),
    permits=(PERMIT,),
    redirect_uri=CALLBACK,
    state="s",
    code_challenge="c" * 43,
    expires_at=NOW + 600,
)
GRANT = Grant(
    grant_id="grant-1",
    client_id=CLIENT.client_id,
    recipient=SIRET,
    citizen=CITIZEN.pseudonym,
    details=(DETAIL,),
    identity=CITIZEN.identity,
    acr="eidas1",
    legal_basis="consent",
    notice_sha256="0" * 64,
    status_index=0,
    given_at=NOW - 20 * DAY,
    expires_at=NOW + 200 * DAY,
)
ACCESS = AccessView(
    index=7,
    access_id="7c8e4a86-0d6f-4f0e-b0c5-4e6f2c0c9d11",
    time="2026-11-23T08:05:09.120Z",
    dataset="quotient_familial",
    fields=DETAIL.fields,
    recipient=SIRET,
    client_id=CLIENT.client_id,
    purpose=DETAIL.purpose,
    legal_basis="consent",
    outcome="ok",
    grant_id=GRANT.grant_id,
)


@dataclass
class FakeDesk:
    """Remembers what it was told."""

    waiting: PendingAuthorization | None = PENDING
    grants: list[Grant] = field(default_factory=list)
    agreed: list[tuple[tuple[tuple[str, ...], ...], int, str]] = field(default_factory=list)
    refused: int = 0
    failure: AccordError | None = None
    kept: list[KeptNotice] = field(default_factory=list)

    def pending(self, client_id: str, request_uri: str) -> PendingAuthorization:
        if self.waiting is None or (client_id, request_uri) != (CLIENT.client_id, self.waiting.request_uri):
            raise OAuthError("invalid_request", "unknown request_uri")
        return self.waiting

    def notice_of(self, grant: Grant) -> KeptNotice | None:
        return self.kept[-1] if self.kept else None

    def record(self, grant_id: str, citizen: str) -> Mapping[str, object]:
        if not any(one.grant_id == grant_id and one.citizen == citizen for one in self.grants):
            raise AccordError("not_found")
        return {"@type": "dpv:ConsentRecord", "dct:identifier": grant_id}

    def keep_notice(self, notice: KeptNotice) -> None:
        self.kept.append(notice)

    def meant_for(self, pending: PendingAuthorization, citizen: Citizen) -> PendingAuthorization:
        return pending

    def agree(self, pending, citizen, *, fields, expires_at, notice_sha256) -> str:
        if self.failure:
            raise self.failure
        self.agreed.append((fields, expires_at, notice_sha256))
        return f"{pending.redirect_uri}?code=xyz&state=s&iss={ISSUER}"

    def refuse(self, pending, citizen) -> str:
        self.refused += 1
        return f"{pending.redirect_uri}?error=access_denied&state=s"

    def grants_of(self, citizen: str) -> Sequence[Grant]:
        return [grant for grant in self.grants if grant.citizen == citizen]

    def withdraw(self, grant_id: str, citizen: str) -> Grant:
        for place, grant in enumerate(self.grants):
            if (grant.grant_id, grant.citizen) == (grant_id, citizen):
                self.grants[place] = replace(grant, status="withdrawn", ended_at=NOW)
                return self.grants[place]
        raise AccordError("not_found")


class FakeCatalogue:
    def notice(self, dataset: str) -> DatasetNotice | None:
        return NOTICE if dataset == NOTICE.dataset else None

    def datasets(self) -> Sequence[str]:
        return [NOTICE.dataset]


class FakeRegistry:
    def client(self, client_id: str) -> Client | None:
        return CLIENT if client_id == CLIENT.client_id else None

    def decide(self, client: Client, detail: Detail, *, now: int) -> Permit | Refusal:
        return PERMIT if detail.purpose == DETAIL.purpose else Refusal("habilitation_missing", {})

    def organisation_name(self, siret: Siret) -> str | None:
        return CLIENT.organisation_name if siret == SIRET else None


@dataclass
class FakeAccesses:
    views: list[AccessView] = field(default_factory=list)

    def of(self, citizen, *, before=None, limit=50, recipient=None, since=None, until=None) -> AccessPage:
        mine = self.views if citizen == CITIZEN.pseudonym else []
        found = [view for view in mine if before is None or view.index < before]
        return AccessPage(found[:limit], found[limit - 1].index if len(found) > limit else None)

    def export(self, citizen: str) -> Export:
        return Export("", iter(()))

    def proof(self, citizen: str, index: int) -> bytes | None:
        return b'{"proof":"..."}' if any(view.index == index for view in self.of(citizen).views) else None


@dataclass
class Scene:
    """One deployment with fakes. ``at`` is the clock, to be moved by tests."""

    config: ConsentConfig
    desk: FakeDesk = field(default_factory=FakeDesk)
    accesses: FakeAccesses | LogAccesses = field(default_factory=FakeAccesses)
    at: float = NOW

    def clock(self) -> float:
        return self.at

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        pages = router(
            self.config,
            desk=self.desk,  # type: ignore[arg-type]
            catalogue=FakeCatalogue(),
            registry=FakeRegistry(),
            accesses=self.accesses,
            franceconnect=relying_party(self.config, clock=self.clock),
            log_key=LOG.vkey,
            clock=self.clock,
        )
        app.include_router(pages)
        return app

    def session_cookie(self, *, name: str = "Camille Martin", id_token: str = "") -> Mapping[str, str]:
        sessions = Sessions(SESSION_KEY, secure=self.config.issuer.startswith("https:"), clock=self.clock)
        response = Response()
        sessions.start(response, CITIZEN, name=name, id_token=id_token)
        value = response.headers["set-cookie"].partition("=")[2].partition(";")[0]
        return {sessions.session_cookie: value}


def make_config(key: EllipticCurvePrivateKey, *, issuer: str = ISSUER, franceconnect: str) -> ConsentConfig:
    return ConsentConfig(
        issuer=issuer,
        audience=issuer,
        franceconnect=FranceConnectConfig(franceconnect, "accord", "fc-secret"),
        keys=FixedKeys(
            TokenKeys((SigningKey("k1", key),)),
            SealingKeys({"s1": bytes(32)}, "s1"),
        ),
        session_key=SESSION_KEY,
        pseudonym_key=bytes(32),
    )
