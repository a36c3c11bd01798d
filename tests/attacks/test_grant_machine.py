"""Whatever citizens, applications, operators and time do, in any order: no exchange after an end, no field beyond
what stands, no token that says more than its grant. A state machine against the whole of Accord on a real server.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from audit.verify_database import verify_database
from consent.authorization.par import PushedRequestForm
from consent.authorization.token import TokenForm, TokenResponse
from consent.errors import OAuthError
from consent.identity import pseudonym, seal
from consent.model import Citizen, Grant
from consent.sender import Sender
from exchange.app import Accord
from exchange.database import migrate
from exchange.keyring import IDENTITY, TOKENS, load_keyring, make_keyring
from exchange.logs import configure_logs
from exchange.protocol import BoundedProtocol
from exchange.registry_load import load_file
from exchange.rotation import rotate
from exchange.settings import load_settings
from openapi.fields import PivotIdentity
from sandbox.api_particulier import identity_of, load_families, router
from tests.conftest import REPOSITORY
from tests.consent.world import VERIFIER, challenge, public_jwk

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

FIELDS = ("quotient_familial.valeur", "quotient_familial.mois", "quotient_familial.annee")
CALLBACK = "https://portail.example/retour"
TOWN = "21990001600011"
TOKEN_SECONDS = 600
_SENDER = Sender("POST", "https://unused.example")


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[int]:
    """An ASGI application on a real server, in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="error", ws="none", http=BoundedProtocol, log_config=None)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(15)


@dataclass
class Clock:
    """Real time, and what the machine adds to it."""

    ahead: int = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Deployment:
    accord: Accord
    clock: Clock
    url: str
    folder: Path
    citizen: Citizen


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    families = load_families(REPOSITORY / "sandbox/families")
    holder = FastAPI()
    holder.include_router(router(families, "holder-token"))
    with serving(holder) as holder_port, pytest.MonkeyPatch.context() as patch:
        environment = {
            "ISSUER": "http://localhost:8000",
            "KEYS_DIR": str(folder / "keys"),
            "DATABASE_URL": f"sqlite:///{folder / 'accord.sqlite'}",
            "FRANCECONNECT__ISSUER": "http://localhost:9/api/v2",
            "FRANCECONNECT__CLIENT_ID": "accord",
            "FRANCECONNECT__CLIENT_SECRET": "secret",
            "HOLDERS__API_PARTICULIER__URL": f"http://127.0.0.1:{holder_port}",
            "HOLDERS__API_PARTICULIER__TOKEN": "holder-token",
            "HOLDERS__API_PARTICULIER__ALLOWANCE": "1000",
        }
        configure_logs("warning")
        for name, value in environment.items():
            patch.setenv(f"ACCORD_{name}", value)
        given = load_settings()
        make_keyring(given.keys_dir, log_origin=given.log_origin)
        migrate(given.database_url)
        (folder / "registry.toml").write_text(_registry())
        load_file(given, folder / "registry.toml")
        clock = Clock()
        accord = Accord(given, clock=clock)
        keyring = load_keyring(given.keys_dir)
        identity: PivotIdentity = identity_of(next(one for one in families if one.status == 200))
        name = pseudonym(identity, keyring.pseudonym)
        citizen = Citizen(name, seal(identity, name, keyring.sealing), "eidas1")
        with serving(accord) as port:
            yield Deployment(accord, clock, f"http://127.0.0.1:{port}", folder, citizen)
        assert not verify_database(given.database_url, keyring.log.vkey).findings


def _registry() -> str:
    jwk = public_jwk(ec.generate_private_key(ec.SECP256R1())) | {"kid": "k"}
    members = ", ".join(f"{name} = {json.dumps(value)}" for name, value in jwk.items() if isinstance(value, str))
    today = datetime.now(UTC).date()
    return f"""
[[organisation]]
siret = "{TOWN}"
name = "Valombre"
[[client]]
client_id = "portail"
name = "Portail"
organisation = "{TOWN}"
redirect_uris = ["{CALLBACK}"]
jwks = {{ keys = [{{ {members} }}] }}
sender_constraint = "none"
[[habilitation]]
id = "h1"
organisation = "{TOWN}"
dataset = "quotient_familial"
fields = {json.dumps(FIELDS)}
legal_basis = "consent"
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=3000)}
purposes = [{{ code = "creche", fr = "Crèche", en = "Nursery" }}]
"""


@dataclass
class Model:
    """What one grant allows, said in the fewest words."""

    fields: frozenset[str]
    once: bool
    expires_at: int
    refresh: str | None = None
    ended: bool = False
    suspended: bool = False
    uses: int = 0

    def allows(self, now: float) -> bool:
        return not self.ended and not self.suspended and self.expires_at > now and not (self.once and self.uses)


@dataclass(frozen=True)
class Token:
    text: str
    grant_id: str
    ends_at: float


@dataclass
class _Shared:
    running: Deployment | None = None
    used: int = 0
    refused: int = 0
    seen: set[str] = field(default_factory=set)


SHARED = _Shared()


class Grants(RuleBasedStateMachine):
    """Everything that can happen to grants, in any order."""

    tokens: Bundle[Token] = Bundle("tokens")
    grants: Bundle[str] = Bundle("grants")

    def __init__(self) -> None:
        super().__init__()
        assert SHARED.running is not None
        self.world = SHARED.running
        self.desk = self.world.accord.desk
        self.models: dict[str, Model] = {}
        self.issued: list[Token] = []

    @property
    def now(self) -> float:
        return self.world.clock()

    def _ask(self, fields: list[str], *, once: bool, **more: str) -> Any:
        detail = {
            "type": "urn:accord:quotient_familial",
            "datatypes": fields,
            "purpose": "creche",
            "recipient": TOWN,
            "access": "once" if once else "recurring",
        }
        form = {
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([detail]),
            **more,
        }
        client = self.world.accord.feed.registry.clients["portail"]
        uri = self.desk.push(client, PushedRequestForm(**form), form, _SENDER)
        return self.desk.meant_for(self.desk.pending("portail", uri), self.world.citizen)

    def _agree(self, pending: Any, fields: list[str], *, seconds: int, once: bool) -> tuple[str, Token]:
        expires_at = int(self.now) + seconds
        back = self.desk.agree(
            pending, self.world.citizen, fields=(tuple(fields),), expires_at=expires_at, notice_sha256="0" * 64
        )
        code = parse_qs(urlsplit(back).query)["code"][0]
        form = TokenForm(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER)
        issued = self._issue(form)
        model = Model(frozenset(fields), once, expires_at, issued.refresh_token)
        self.models[str(issued.grant_id)] = model
        return str(issued.grant_id), self._token(issued)

    def _issue(self, form: TokenForm) -> TokenResponse:
        client = self.world.accord.feed.registry.clients["portail"]
        return self.desk.issuance.issue(client, form, _SENDER)

    def _token(self, issued: TokenResponse) -> Token:
        claims = jwt.decode(issued.access_token, options={"verify_signature": False})
        model = self.models[str(issued.grant_id)]
        (detail,) = claims["authorization_details"]
        assert set(detail["datatypes"]) == model.fields
        assert claims["exp"] <= model.expires_at
        self.issued.append(Token(issued.access_token, str(issued.grant_id), claims["exp"]))
        return self.issued[-1]

    @rule(
        target=tokens,
        asked=st.lists(st.sampled_from(FIELDS), min_size=1, unique=True),
        data=st.data(),
        seconds=st.integers(5, 2_000_000),
        once=st.booleans(),
    )
    def agree_in_part(self, asked: list[str], data: st.DataObject, seconds: int, once: bool) -> Any:
        pending = self._ask(asked, once=once)
        fields = data.draw(st.lists(st.sampled_from(asked), min_size=1, unique=True))
        kept = [name for name in asked if name in fields]
        _, token = self._agree(pending, kept, seconds=seconds, once=once)
        SHARED.seen.add("agree")
        return token

    @rule(asked=st.lists(st.sampled_from(FIELDS), min_size=1, unique=True))
    def refuse(self, asked: list[str]) -> None:
        back = self.desk.refuse(self._ask(asked, once=False), self.world.citizen)
        assert parse_qs(urlsplit(back).query)["error"] == ["access_denied"]

    @rule(token=tokens, wanted=st.lists(st.sampled_from(FIELDS), unique=True))
    def use(self, token: Token, wanted: list[str]) -> None:
        self._use(token, wanted)

    def _use(self, token: Token, wanted: list[str]) -> None:
        model = self.models[token.grant_id]
        before = self.now
        answer = httpx.get(
            f"{self.world.url}/v1/data/quotient_familial",
            params={"fields": ",".join(wanted)} if wanted else {},
            headers={"Authorization": f"Bearer {token.text}"},
            trust_env=False,
            timeout=20,
        )
        if answer.status_code == 200:
            assert model.allows(before), answer.text
            assert token.ends_at > before
            assert set(wanted) <= model.fields
            data = answer.json()["data"].get("quotient_familial", {})
            assert {f"quotient_familial.{name}" for name in data} <= (set(wanted) or model.fields)
            model.uses += 1
            SHARED.used += 1
        else:
            assert answer.status_code in (401, 403), answer.text
            allowed = model.allows(self.now) and token.ends_at > self.now and set(wanted) <= model.fields
            assert not allowed, answer.text
            assert "data" not in answer.json()
            SHARED.refused += 1
            SHARED.seen.add(answer.json()["type"].rsplit("/", 1)[1])

    @rule()
    def use_every_token(self) -> None:
        for token in self.issued[-4:]:
            self._use(token, [])

    @rule(target=tokens, token=tokens)
    def refresh(self, token: Token) -> Any:
        model = self.models[token.grant_id]
        if model.refresh is None:
            return multiple()
        try:
            issued = self._issue(TokenForm(grant_type="refresh_token", refresh_token=model.refresh))
        except OAuthError:
            assert model.ended or model.suspended or model.expires_at <= self.now
            return multiple()
        assert not model.ended
        assert not model.suspended
        SHARED.seen.add("refresh")
        return self._token(issued)

    @rule(target=tokens, token=tokens, seconds=st.integers(5, 100_000))
    def narrow(self, token: Token, seconds: int) -> Any:
        model = self.models[token.grant_id]
        if model.ended:
            return multiple()
        (name, *_) = sorted(model.fields)
        pending = self._ask([name], once=model.once, grant_management_action="replace", grant_id=token.grant_id)
        _, narrowed = self._agree(pending, [name], seconds=seconds, once=model.once)
        model.ended = True
        SHARED.seen.add("narrow")
        return narrowed

    @rule(token=tokens)
    def withdraw(self, token: Token) -> None:
        self.desk.withdraw(token.grant_id, self.world.citizen.pseudonym)
        self.models[token.grant_id].ended = True
        self._use(token, [])

    @rule(token=tokens)
    def suspend(self, token: Token) -> None:
        self.desk.suspend(token.grant_id)
        model = self.models[token.grant_id]
        model.suspended = not model.ended
        self._use(token, [])

    @rule(token=tokens)
    def resume(self, token: Token) -> None:
        self.desk.resume(token.grant_id)
        self.models[token.grant_id].suspended = False

    @rule(seconds=st.sampled_from([1, 5, 30, 60, TOKEN_SECONDS, 40 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.ahead += seconds
        for token in self.issued[-1:]:
            # What was good a moment ago is what is used a moment too late.
            self._use(token, [])

    @rule()
    def ends_are_recorded(self) -> None:
        before = self.now
        self.desk.expire()
        for grant_id, model in self.models.items():
            if before < model.expires_at <= self.now:
                # Its end came while they were recorded: either is right.
                model.ended = model.ended or self._stored(grant_id).status == "expired"
            else:
                model.ended = model.ended or model.expires_at <= before

    @rule()
    def keys_rotate(self) -> None:
        rotate(self.world.folder / "keys", (TOKENS, IDENTITY), record=lambda _: None, clock=self.world.clock)
        self.world.accord.keys.refresh()
        SHARED.seen.add("rotate")

    def _stored(self, grant_id: str) -> Grant:
        grant = self.world.accord.grants.grant(grant_id)
        assert grant is not None
        return grant

    @invariant()
    def what_is_stored_is_what_stands(self) -> None:
        for grant_id, model in self.models.items():
            grant = self._stored(grant_id)
            assert (grant.status in ("withdrawn", "expired")) == model.ended
            assert {name for detail in grant.details for name in detail.fields} == model.fields


def test_no_order_of_events_lets_data_out_that_should_not_go(tmp_path: Path) -> None:
    profile = settings(
        max_examples=25,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    with deployment(tmp_path) as running:
        SHARED.running = running
        run_state_machine_as_test(Grants, settings=profile)
    # Fewer on a slow machine, whose short authorisations end before they are used.
    assert SHARED.used > 10
    assert SHARED.refused > 10
    assert {
        "agree",
        "refresh",
        "narrow",
        "rotate",
        "grant_withdrawn",
        "grant_suspended",
        "token_expired",
    } <= SHARED.seen
