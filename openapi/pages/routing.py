"""Routes of pages: a page's troubles are pages too; and the gestures between one page and the next."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

ShowRefusal: TypeAlias = Callable[[Request, Exception], Response]


def page_route(refusals: tuple[type[Exception], ...], show: ShowRefusal) -> type[APIRoute]:
    """Routes whose ``refusals`` are shown as pages. ``show`` runs in a thread of its own: it may wait."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except refusals as refusal:
                    return await run_in_threadpool(show, request, refusal)

            return handle

    return PageRoute


def redirect(url: str) -> Response:
    """To another page, by GET."""
    return RedirectResponse(url, 303, headers=NO_STORE)


def path_of(request: Request, **changes: str) -> str:
    """The path and query of the request, parameters without a value left out, with others changed."""
    given = {name: value for name, value in parse_qsl(request.url.query) if value.strip() and name not in changes}
    asked = urlencode({**given, **changes})
    return f"{request.url.path}?{asked}" if asked else request.url.path
