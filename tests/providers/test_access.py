"""Tokens that a holder gives for a while, on real HTTP: asked for once, replaced before their end, never shown."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Form, Header, Request
from fastapi.responses import JSONResponse

from exchange.settings import SettingsError, load_settings
from providers.access import EARLY_SECONDS, ClientCredentials
from providers.config import HolderConfig
from providers.errors import ProviderError
from providers.port import HolderReply, HolderRequest
from providers.transport import Transport
from sandbox.servers import sandbox_running
from tests.sandbox.conftest import Clock, free_port

pytestmark = pytest.mark.enable_socket

SECRET = "s3cret/of:this test"
CREDENTIALS = ClientCredentials("accord:id", SECRET, "RessourceIR", "/oauth/token")
ASKED = HolderRequest("/data", ())


class Holder:
    """An authorization server and a resource of one holder. ``given``: how many tokens it gave."""

    def __init__(self) -> None:
        self.given = 0
        self.answer: Callable[[], JSONResponse] | None = None
        self.refuses = False
        self.forms: list[tuple[str, str, str]] = []
        self.seen: list[tuple[str, str]] = []
        self.app = FastAPI()
        self.app.post("/base/oauth/token")(self._token)
        self.app.get("/base/data")(self._data)

    async def _token(
        self,
        grant_type: Annotated[str, Form()],
        scope: Annotated[str, Form()] = "",
        authorization: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        self.forms.append((grant_type, scope, authorization))
        await asyncio.sleep(0.05)
        if self.answer is not None:
            return self.answer()
        self.given += 1
        return JSONResponse({"access_token": f"token-{self.given}", "token_type": "Bearer", "expires_in": 600})

    async def _data(self, request: Request) -> JSONResponse:
        self.seen.append((request.headers["authorization"], request.headers.get("id_teleservice", "")))
        return JSONResponse({}, 401 if self.refuses else 200)


@contextmanager
def _running(holder: Holder) -> Iterator[str]:
    port = free_port()
    with sandbox_running(holder.app, port=port):
        yield f"http://localhost:{port}/base"


def _with(url: str, clock: Clock, act: Callable[[Transport], Awaitable[Any]], **changed: Any) -> Any:
    async def run() -> Any:
        config = HolderConfig(url, "", 2.0, credentials=CREDENTIALS, **changed)
        transport = Transport("dgfip", config, clock=clock)
        await transport.start()
        try:
            return await act(transport)
        finally:
            await transport.close()

    return asyncio.run(run())


def test_one_token_serves_many_calls_and_many_that_come_at_once() -> None:
    async def act(transport: Transport) -> None:
        replies = await asyncio.gather(*(transport.send(ASKED) for _ in range(8)))
        replies.append(await transport.send(ASKED))
        assert [one.status for one in replies] == [200] * 9

    holder = Holder()
    with _running(holder) as url:
        _with(url, Clock(), act)
    assert holder.given == 1
    basic = b64encode(b"accord%3Aid:s3cret%2Fof%3Athis+test").decode()
    assert holder.forms == [("client_credentials", "RessourceIR", f"Basic {basic}")]
    assert {authorization for authorization, _ in holder.seen} == {"Bearer token-1"}


def test_a_token_is_replaced_before_its_end_and_after_a_refusal_unless_it_is_new() -> None:
    holder, clock = Holder(), Clock()

    async def act(transport: Transport) -> None:
        await transport.send(ASKED)
        clock.now += 600 - EARLY_SECONDS - 1
        await transport.send(ASKED)
        assert holder.given == 1
        clock.now += 2
        holder.refuses = True
        assert (await transport.send(ASKED)).status == 401
        assert (await transport.send(ASKED)).status == 401
        # The second token is new: that it was refused is about what was asked.
        assert holder.given == 2
        clock.now += 61
        await transport.send(ASKED)
        await transport.send(ASKED)
        assert holder.given == 3

    with _running(holder) as url:
        _with(url, clock, act)


@pytest.mark.parametrize(
    ("status", "body", "slug"),
    [
        (401, {"error": "invalid_client"}, "holder_refused_access"),
        (400, {"error": "invalid_scope"}, "holder_refused_access"),
        (500, {}, "holder_failed"),
        (200, {}, "holder_answer_invalid"),
        (200, [], "holder_answer_invalid"),
        (200, {"access_token": "line\r\nhost: evil"}, "holder_answer_invalid"),
        (200, {"access_token": "t", "expires_in": "600"}, "holder_answer_invalid"),
        (200, {"access_token": "t", "expires_in": 0}, "holder_answer_invalid"),
        (200, {"access_token": "t" * 9000, "expires_in": 60}, "holder_answer_invalid"),
    ],
)
def test_a_holder_that_gives_no_token_is_a_declared_error_and_nothing_is_asked(
    status: int, body: object, slug: str
) -> None:
    async def act(transport: Transport) -> str:
        with pytest.raises(ProviderError) as caught:
            await transport.send(ASKED)
        assert SECRET not in repr(caught.value) + str(caught.value.facts)
        return caught.value.slug

    holder = Holder()
    holder.answer = lambda: JSONResponse(body, status)
    with _running(holder) as url:
        assert _with(url, Clock(), act) == slug
    assert holder.seen == []


def test_a_holder_that_is_not_there_is_unreachable_for_its_token_too() -> None:
    async def act(transport: Transport) -> str:
        with pytest.raises(ProviderError) as caught:
            await transport.send(ASKED)
        return caught.value.slug

    assert _with("http://127.0.0.1:9", Clock(), act) == "holder_unreachable"


def test_what_else_the_holder_knows_us_by_goes_with_every_call() -> None:
    async def act(transport: Transport) -> HolderReply:
        return await transport.send(ASKED)

    holder = Holder()
    with _running(holder) as url:
        assert _with(url, Clock(), act, headers=(("ID_Teleservice", "valombre-1"),)).status == 200
    assert holder.seen == [("Bearer token-1", "valombre-1")]


def test_secrets_show_themselves_nowhere() -> None:
    assert SECRET not in repr(CREDENTIALS) + repr(HolderConfig("http://localhost", "", credentials=CREDENTIALS))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "token, or client_id"),
        ({"TOKEN": "t", "CLIENT_ID": "a", "CLIENT_SECRET": "b"}, "token, or client_id"),
        ({"CLIENT_ID": "a"}, "go together"),
        ({"TOKEN": "t", "HEADERS": '{"Authorization": "x"}'}, "names of letters"),
        ({"TOKEN": "t", "HEADERS": '{"x": "a\\r\\nb"}'}, "visible ASCII"),
    ],
)
def test_a_holder_is_given_one_way_in(given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _settings(monkeypatch, given)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_credentials_and_headers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _settings(monkeypatch, {"CLIENT_ID": "a", "CLIENT_SECRET": "b", "HEADERS": '{"ID_Teleservice": "x"}'})
    holder = load_settings().holders["api_particulier"]
    assert (holder.client_id, holder.headers, holder.oauth_path) == ("a", {"ID_Teleservice": "x"}, "/token")


def _settings(monkeypatch: pytest.MonkeyPatch, holder: dict[str, str]) -> None:
    given = {
        "ISSUER": "http://localhost:8000",
        "KEYS_DIR": "/nowhere",
        "FRANCECONNECT__ISSUER": "http://localhost:8001/api/v2",
        "FRANCECONNECT__CLIENT_ID": "accord",
        "FRANCECONNECT__CLIENT_SECRET": "s",
        "HOLDERS__API_PARTICULIER__URL": "http://localhost:8002",
        **{f"HOLDERS__API_PARTICULIER__{name}": value for name, value in holder.items()},
    }
    for name, value in given.items():
        monkeypatch.setenv(f"ACCORD_{name}", value)
