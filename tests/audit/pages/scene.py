"""The auditors' surroundings in tests: a real log, a real room and door, and ten-line fakes behind the other ports."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from starlette.responses import Response
from starlette.testclient import TestClient

from audit.auditors import Auditor
from audit.checkpoint import NoteSigner
from audit.door import Door
from audit.log import Log
from audit.model import Append, EntryValue
from audit.pages.routes import router
from audit.ports import Agent, Departure
from audit.query import Queries
from audit.reading import ReadingRoom
from audit.store import open_store
from consent.session import Seal
from exchange.auditing import LogReadings
from openapi.problem import AccordError, Language
from tests.audit.conftest import ORIGIN

NOW = 1_795_500_000
"""24 November 2026, 07:00 in Paris."""
DAY = 86_400
ISSUER = "https://accord.example"
PROVIDER = "https://proconnect.example"
TOWN, DEPARTMENT, DELEGATE = "21990001600011", "22990002200018", "20990001800018"
PORTAL, SOCIAL, PUPILS = "portail-famille", "aide-sociale", "transport-scolaire"
CITIZEN = "c3a1f0927d5be84612fd07c98ab35e41d6609f7e2b8c44a05913ed76f12b8a5c"
NEIGHBOUR = "d81b42f60c97a35ed4092be1587f6ca3b0d84e19f725c6038a4bd17e95f03c62"
NAMES = {TOWN: "Commune de Valombre", DEPARTMENT: "Département de la Doline", DELEGATE: "Restauration du Val"}
FIELDS = ("quotient_familial.valeur", "quotient_familial.mois", "quotient_familial.annee", "adresse.code_postal_ville")

LABELS: dict[str, dict[Language, str]] = {
    "quotient_familial.valeur": {"fr": "Montant du quotient", "en": "Amount of the quotient"},
    "quotient_familial.mois": {"fr": "Mois du quotient", "en": "Month of the quotient"},
    "quotient_familial.annee": {"fr": "Année du quotient", "en": "Year of the quotient"},
}
"""Of all but one field, which a later catalogue dropped."""
OFFERED: dict[str, dict[str, str]] = {
    TOWN: {"organisation": TOWN, "application": PORTAL, "purpose": "tarification_creche", "delegate": DELEGATE},
    DEPARTMENT: {"organisation": DEPARTMENT, "application": SOCIAL, "purpose": "aide_sociale"},
}
"""What the registry says of each organisation: a value by parameter of a filter."""

CLAIRE = Auditor("a_" + "1" * 64, "auditor", None)
MARC = Auditor("a_" + "2" * 64, "auditor", TOWN)
NADIA = Auditor("a_" + "3" * 64, "operator", None)
NOBODY = "a_" + "9" * 64
AGENTS = {"claire": CLAIRE, "marc": MARC, "nadia": NADIA}
SHOWN = {"claire": "Claire Fontaine", "marc": "Marc Olivier", "nadia": "Nadia Perrin", "nobody": "Ada Personne"}

_RELEASE = {"v": 1, "request_id": "r-0", "outcome": "ok"}


@dataclass
class Login:
    """A ProConnect that never fails, or always."""

    down: bool = False

    def depart(self) -> Departure:
        self._answer()
        return Departure(f"{PROVIDER}/authorize?state=the-state", "the-state", "the-nonce")

    def authenticate(self, *, code: str, nonce: str) -> Agent:
        self._answer()
        if nonce != "the-nonce" or code not in SHOWN:
            raise AccordError("agent_login_refused")
        subject = AGENTS[code].subject if code in AGENTS else NOBODY
        return Agent(subject, SHOWN[code], "the.id.token")

    def logout_url(self, id_token: str, *, return_to: str) -> str:
        self._answer()
        return f"{PROVIDER}/session/end?id_token_hint={id_token}&post_logout_redirect_uri={return_to}"

    def _answer(self) -> None:
        if self.down:
            raise AccordError("proconnect_unreachable")


class Registry:
    def auditor(self, subject: str) -> Auditor | None:
        return next((one for one in AGENTS.values() if one.subject == subject), None)

    def machine(self, token: str) -> Auditor | None:
        return CLAIRE if token == "a-program" else None


class Words:
    def organisation(self, siret: str) -> str | None:
        return NAMES.get(siret)

    def dataset(self, name: str, language: Language) -> str | None:
        return {"fr": "Quotient familial", "en": "Family quotient"}[language] if name == "quotient_familial" else None

    def field(self, name: str, language: Language) -> str | None:
        return LABELS[name][language] if name in LABELS else None

    def offered(self, parameter: str, *, organisation: str | None) -> Collection[str]:
        known = OFFERED.values() if organisation is None else [OFFERED[organisation]]
        return {one[parameter] for one in known if parameter in one}


@dataclass
class Scene:
    """A deployment with its log; ``at`` is what its clock says."""

    url: str
    key: NoteSigner
    at: float = NOW
    secure: bool = True
    login: Login = field(default_factory=Login)

    def __post_init__(self) -> None:
        self.store, self._read = open_store(self.url), open_store(self.url)
        self.log = Log.open(self.store, self.key, origin=ORIGIN, max_queue=100_000, timeout=60)
        self.queries = Queries(self._read)
        self.room = ReadingRoom(self.queries, LogReadings(self.log, clock=self.clock), clock=self.clock)

    @property
    def door(self) -> Door:
        return Door(Registry(), Seal(b"s" * 32, "audit", clock=self.clock), secure=self.secure)

    def clock(self) -> float:
        return self.at

    def close(self) -> None:
        self.log.close()
        self._read.close()

    def append(self, appends: Sequence[Append]) -> None:
        # In a thread of its own: a test with a browser has an event loop already.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(self._append(appends))).result()

    async def _append(self, appends: Sequence[Append]) -> None:
        for start in range(0, len(appends), 1000):
            await asyncio.gather(*(self.log.append(one) for one in appends[start : start + 1000]))

    def app(self, *, issuer: str = ISSUER, sheet: str = "/static/accord.css?v=1") -> FastAPI:
        app = FastAPI()
        app.include_router(
            router(
                room=self.room,
                door=self.door,
                login=self.login,
                names=Words(),
                issuer=issuer,
                sheet=sheet,
                icon="/static/accord.svg?v=1",
                clock=self.clock,
            )
        )
        return app

    def cookies(self, who: str) -> dict[str, str]:
        """Somebody is logged in."""
        response = Response()
        subject = AGENTS[who].subject if who in AGENTS else NOBODY
        self.door.let_in(response, Agent(subject, SHOWN[who], "the.id.token"))
        name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
        return {name: value}

    def browser(self, who: str | None = None, *, language: str = "fr") -> TestClient:
        return TestClient(
            self.app(),
            base_url=ISSUER,
            follow_redirects=False,
            cookies=self.cookies(who) if who else None,
            headers={"accept-language": language},
        )

    def size(self) -> int:
        return self.queries.checkpoint()[0]

    def readings(self, since: int) -> list[Mapping[str, object]]:
        """The entries from an index on."""
        return [one.skeleton for one in self.queries.after(since - 1, limit=1000)]


@contextmanager
def running(url: str, key: NoteSigner) -> Iterator[Scene]:
    scene = Scene(url, key)
    yield scene
    scene.close()


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def access(
    number: int, *, at: float, recipient: str = TOWN, client: str = PORTAL, citizen: str = CITIZEN, **more: EntryValue
) -> Append:
    """An access, or what ``more`` makes of it."""
    skeleton: dict[str, EntryValue] = {
        "v": 1,
        "kind": "access",
        "time": written(at),
        "request_id": f"request-{number}",
        "dataset": "quotient_familial",
        "fields": list(FIELDS),
        "recipient": recipient,
        "client": client,
        "purpose": "tarification_creche",
        "legal_basis": "consent",
        "provider": "api_particulier",
        "outcome": "ok",
        **more,
    }
    return Append(skeleton, {"citizen": citizen, "grant_id": f"grant-{citizen[0]}", "acr": "eidas1", "duration_ms": 87})


def month() -> list[Append]:
    """Thirty days of two organisations: some 120 entries, with something unusual of every kind."""
    entries = [access(number, at=NOW - 29 * DAY + number * DAY / 2) for number in range(56)]
    entries[8::9] = [
        access(1000 + number, at=NOW - (25 - number) * DAY, kind="refusal", outcome="grant_withdrawn")
        for number in range(len(entries[8::9]))
    ]
    entries[20] = access(20, at=NOW - 19 * DAY, kind="failure", outcome="holder_timeout")
    burst = datetime.fromtimestamp(NOW - 4 * DAY, UTC).replace(hour=9, minute=0, second=0)
    entries += [
        access(
            2000 + number, at=(burst + timedelta(seconds=90 * number)).timestamp(), recipient=DEPARTMENT, client=SOCIAL
        )
        for number in range(32)
    ]
    entries += [
        access(2500 + number, at=(burst - timedelta(days=number)).timestamp(), recipient=DEPARTMENT, client=SOCIAL)
        for number in range(1, 5)
    ]
    night = datetime.fromtimestamp(NOW - 3 * DAY, UTC).replace(hour=2)
    entries += [
        access(
            3000 + number,
            at=(night + timedelta(minutes=9 * number)).timestamp(),
            client=PUPILS,
            citizen=NEIGHBOUR if number else CITIZEN,
        )
        for number in range(12)
    ]
    entries += [
        access(
            4000 + number, at=NOW - 2 * DAY + 60 * number, client=PUPILS, kind="refusal", outcome="field_not_consented"
        )
        for number in range(11)
    ]
    return [*entries, *others()]


def others() -> list[Append]:
    """Entries that are not about an exchange."""
    at = {"time": written(NOW - DAY)}
    given = access(5000, at=NOW - DAY, kind="grant.given", delegate=DELEGATE)
    return [
        given,
        access(5001, at=NOW - DAY, kind="grant.given", recipient=DEPARTMENT, client=SOCIAL, delegate=DELEGATE),
        Append({**_RELEASE, **at, "kind": "keys.rotated", "tokens_made": "k-2", "tokens_dropped": ["k-1"]}),
        Append(
            {
                **_RELEASE,
                **at,
                "kind": "archive.made",
                "period": "2025",
                "first": 0,
                "last": 9,
                "size": 10,
                "details": False,
                "files": 7,
                "manifest_sha256": "e" * 64,
            }
        ),
        Append(
            {
                **_RELEASE,
                **at,
                "kind": "retention.applied",
                "dataset": "quotient_familial",
                "before": "2025-11-24T00:00:00.000Z",
                "retention": "P1Y",
                "erased": 1,
                "first": 0,
                "last": 0,
                "erased_sha256": "f" * 64,
            },
            erases=(0,),
        ),
    ]
