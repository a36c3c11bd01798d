"""Polling for security events (RFC 8936): an application fetches what it was not told, and acknowledges it.

It authenticates with a token of its own (``client_credentials``, scope ``events_poll``) bound like any other.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consent.authorization.forms import read_body
from consent.config import ConsentConfig
from consent.errors import NO_STORE, OAuthError
from consent.events.store import Outbox
from consent.events.token import make_event_token
from consent.model import Client

PATH = "/oauth/events/poll"
SCOPE = "events_poll"
MOST_EVENTS = 100
LONGEST_WAIT = 20.0
"""Seconds that an answer is held back while there is nothing to tell."""
PAUSE = 0.5

_Jti: TypeAlias = Annotated[str, Field(max_length=64)]


class PollRequest(BaseModel):
    """RFC 8936 section 2.2."""

    model_config = ConfigDict(extra="ignore")

    maxEvents: int = Field(default=MOST_EVENTS, ge=0)  # noqa: N815  # the RFC's name
    returnImmediately: bool = True  # noqa: N815  # idem
    ack: list[_Jti] = Field(default=[], max_length=1_000)
    setErrs: dict[_Jti, dict[str, Any]] = Field(default={}, max_length=1_000)  # noqa: N815  # idem


class PollResponse(BaseModel):
    """RFC 8936 section 2.3: tokens by ``jti``."""

    model_config = ConfigDict(extra="forbid")

    sets: dict[str, str]
    moreAvailable: bool  # noqa: N815  # the RFC's name


def router(
    config: ConsentConfig,
    *,
    authorize: Callable[[Request, str], Client],
    outbox: Outbox,
    clock: Callable[[], float],
) -> APIRouter:
    """The one route. ``authorize``: the application behind a request whose token has a scope; blocking."""
    routes = APIRouter(tags=["oauth"])

    async def answer(client: Client, asked: PollRequest) -> PollResponse:
        now = int(clock())
        received = [*asked.ack, *asked.setErrs]
        if received:
            await asyncio.to_thread(outbox.acknowledge, client.client_id, received, now=now)
        most = min(asked.maxEvents, MOST_EVENTS)
        deadline = asyncio.get_running_loop().time() + (0 if asked.returnImmediately else LONGEST_WAIT)
        while True:
            found = await asyncio.to_thread(outbox.waiting, client.client_id, limit=most + 1)
            if found or not most or asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(PAUSE)
        sets = {one.jti: make_event_token(one, config, now=int(clock())) for one in found[:most]}
        return PollResponse(sets=sets, moreAvailable=len(found) > most)

    @routes.post(
        PATH,
        summary="Fetch security events about your grants (RFC 8936)",
        response_model=PollResponse,
        responses={
            400: {"description": "the request is refused (RFC 6749 section 5.2)"},
            401: {"description": "no token for polling"},
            403: {"description": "the token has not the scope"},
            408: {"description": "the body did not arrive in time"},
        },
        openapi_extra={
            "requestBody": {"content": {"application/json": {"schema": PollRequest.model_json_schema()}}},
        },
    )
    async def poll(request: Request) -> Response:
        """`ack` what was received; with `returnImmediately: false` the answer waits for something to tell."""
        client = await asyncio.to_thread(authorize, request, SCOPE)
        told = await answer(client, _parse(await read_body(request)))
        return Response(told.model_dump_json(), media_type="application/json", headers=NO_STORE)

    return routes


def _parse(body: bytes) -> PollRequest:
    try:
        return PollRequest.model_validate(orjson.loads(body or b"{}"))
    except (ValidationError, ValueError):
        raise OAuthError("invalid_request", "body: a JSON object as RFC 8936 section 2.2 has it") from None
