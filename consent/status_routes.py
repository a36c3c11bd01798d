"""``GET /status/{number}``: the standing of every grant, for whoever holds a token, without asking about one grant.

A list says nothing about how many grants there are: it is always whole, and its tokens are made at most once a minute.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias

from fastapi import APIRouter, Path, Query, Request, Response

from consent.config import ConsentConfig
from consent.status import LISTS
from consent.status_token import MEDIA_TYPE, TTL, make_status_token
from openapi.problem import AccordError

_ANYTHING = ("*/*", "application/*", MEDIA_TYPE)
_HEADERS = {"Cache-Control": f"public, max-age={TTL}", "Access-Control-Allow-Origin": "*"}
_LATEST = 2**53

_Number: TypeAlias = Annotated[int, Path(ge=0, lt=LISTS)]
_Time: TypeAlias = Annotated[
    int | None, Query(ge=0, le=_LATEST, description="a past moment, Unix seconds (section 8.4 of the draft)")
]


class Statuses(Protocol):
    """Where lists come from."""

    def status_list(self, number: int, *, at: int | None = None) -> bytes | None:
        """The bytes of a list, now or at a past moment; ``None`` when there was no such list then."""
        ...


@dataclass(frozen=True, slots=True)
class _Made:
    token: str
    at: int


class StatusTokens:
    """Tokens of lists, each made once in ``TTL`` seconds. The lock makes a crowd wait for one."""

    def __init__(self, config: ConsentConfig, *, source: Statuses, clock: Callable[[], float]) -> None:
        self._config = config
        self._source = source
        self._clock = clock
        self._made: dict[int, _Made] = {}
        self._lock = threading.Lock()

    def token(self, number: int, *, at: int | None = None) -> str:
        """The token of a list. Raises ``AccordError('status_list_unknown')``, for a moment to come too."""
        now = int(self._clock())
        if at is not None and at > now:
            raise AccordError("status_list_unknown")
        with self._lock:
            made = self._made.get(number) if at is None else None
            if made is None or now - made.at >= TTL:
                made = self._make(number, at=at, now=now)
            return made.token

    def _make(self, number: int, *, at: int | None, now: int) -> _Made:
        statuses = self._source.status_list(number, at=at)
        if statuses is None:
            raise AccordError("status_list_unknown")
        moment = now if at is None else at
        made = _Made(make_status_token(statuses, number, self._config, now=moment), moment)
        if at is None:
            self._made[number] = made
        return made


def router(tokens: StatusTokens) -> APIRouter:
    """The one route."""
    routes = APIRouter(tags=["oauth"])

    @routes.get(
        "/status/{number}",
        summary="The standing of every grant (Token Status List)",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "a signed list"},
            404: {"description": "no such list, not yet at that moment, or a moment to come"},
            406: {"description": "only application/statuslist+jwt is offered"},
        },
    )
    def status_list(request: Request, number: _Number, time: _Time = None) -> Response:
        """Signed with the keys of consent tokens; ask again after `ttl` seconds."""
        accepted = request.headers.get("accept", "*/*")
        if not any(kind.partition(";")[0].strip() in _ANYTHING for kind in accepted.split(",")):
            raise AccordError("not_acceptable", offered=MEDIA_TYPE)
        return Response(tokens.token(number, at=time), media_type=MEDIA_TYPE, headers=_HEADERS)

    return routes
