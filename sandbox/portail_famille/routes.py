"""The portal's pages: ask, leave for Accord, come back, show the quotient familial or say plainly why not.

The session lives on the server; the cookie holds a random key that changes at every step.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.portail_famille.accord import (
    Accord,
    AccordRefused,
    AccordUnreachable,
    Departure,
    PortalConfig,
    QuotientFamilial,
)
from sandbox.rendering import Pages
from sandbox.shelf import Shelf

COOKIE = "portail_famille"
DEPARTURE_SECONDS = 900
SESSION_SECONDS = 1800

MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)

_pages = Pages("sandbox.portail_famille")


@dataclass(frozen=True, slots=True)
class Session:
    """Someone whose quotient familial the portal has received."""

    token: str = field(repr=False)
    received: QuotientFamilial = field(repr=False)


class Portal:
    """The portal's handlers and sessions. Owned by one event loop, which is what guards the sessions."""

    def __init__(self, config: PortalConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._accord = Accord(config, clock=clock)
        self._departures: Shelf[Departure] = Shelf(lifetime=DEPARTURE_SECONDS, clock=clock)
        self._sessions: Shelf[Session] = Shelf(lifetime=SESSION_SECONDS, clock=clock)

    async def home(self) -> HTMLResponse:
        """The page with the button."""
        return self._page("home.html")

    async def leave(self) -> Response:
        """The button: push the request to Accord and send the citizen there."""
        try:
            departure = await self._accord.request_authorization()
        except AccordRefused as refusal:
            return self._refused(refusal)
        except AccordUnreachable:
            return self._unreachable()
        return _redirect(departure.url, cookie=self._departures.put(departure))

    async def come_back(self, request: Request) -> Response:
        """Accord's redirect: check that it answers this browser's request and is Accord's, then fetch."""
        answer = dict(request.query_params)
        departure = self._departures.take(request.cookies.get(COOKIE, ""))
        if departure is None or not _same(answer.get("state"), departure.state):
            return self._page("stray.html", status=HTTPStatus.BAD_REQUEST)
        if not _same(answer.get("iss"), self._config.issuer):
            # RFC 9207: an answer from another authorization server must not be mixed up with Accord's.
            return self._page("stray.html", status=HTTPStatus.BAD_REQUEST)
        if "error" in answer:
            return self._declined(answer)
        return await self._fetch(answer.get("code", ""), departure)

    async def show(self, request: Request) -> Response:
        """The quotient familial that was received, and nothing else."""
        session = self._session(request)
        return _redirect("/") if session is None else self._page("received.html", _readable(session.received))

    async def refresh(self, request: Request) -> Response:
        """Ask Accord again with the same token."""
        session = self._session(request)
        if session is None:
            return _redirect("/")
        return await self._access(session.token)

    async def _fetch(self, code: str, departure: Departure) -> Response:
        try:
            token = await self._accord.redeem(code, departure.verifier)
        except AccordRefused as refusal:
            return self._refused(refusal)
        except AccordUnreachable:
            return self._unreachable()
        return await self._access(token)

    async def _access(self, token: str) -> Response:
        try:
            received = await self._accord.quotient_familial(token)
        except AccordRefused as refusal:
            return self._refused(refusal)
        except AccordUnreachable:
            return self._unreachable()
        return _redirect("/quotient-familial", cookie=self._sessions.put(Session(token, received)))

    def _session(self, request: Request) -> Session | None:
        return self._sessions.get(request.cookies.get(COOKIE, ""))

    def _declined(self, answer: Mapping[str, str]) -> HTMLResponse:
        if answer["error"] == "access_denied":
            return self._page("declined.html")
        return self._page(
            "refused.html",
            {"code": answer["error"][:100], "title": "", "detail": answer.get("error_description", "")[:500]},
            status=HTTPStatus.BAD_GATEWAY,
        )

    def _refused(self, refusal: AccordRefused) -> HTMLResponse:
        facts = {"code": refusal.code, "title": refusal.title, "detail": refusal.detail}
        # A refusal of Accord's is not this visitor's mistake towards the portal, except for the lack of permission.
        status = HTTPStatus.FORBIDDEN if refusal.status in _NOT_PERMITTED else HTTPStatus.BAD_GATEWAY
        return self._page("refused.html", facts, status=status)

    def _unreachable(self) -> HTMLResponse:
        return self._page("unreachable.html", status=HTTPStatus.BAD_GATEWAY)

    def _page(
        self, template: str, facts: Mapping[str, object] | None = None, *, status: int = HTTPStatus.OK
    ) -> HTMLResponse:
        values = {"accord": self._config.issuer, **(facts or {})}
        # The button leads to Accord through a redirect, which the browser holds to this page's form-action.
        return _pages.render(template, values, status=status, form_targets=(self._config.issuer,))


_NOT_PERMITTED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def router(config: PortalConfig, *, clock: Callable[[], float] = time.time) -> APIRouter:
    """Every page of the portal."""
    portal = Portal(config, clock=clock)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/", portal.home, methods=["GET"])
    routes.add_api_route("/quotient-familial", portal.leave, methods=["POST"])
    routes.add_api_route("/quotient-familial", portal.show, methods=["GET"])
    routes.add_api_route("/quotient-familial/actualiser", portal.refresh, methods=["POST"])
    routes.add_api_route("/retour", portal.come_back, methods=["GET"])
    routes.add_api_route("/style.css", _style, methods=["GET"])
    routes.add_api_route("/favicon.ico", _no_icon, methods=["GET"])
    return routes


async def _style() -> Response:
    content = resources.files("sandbox.portail_famille").joinpath("static/portail.css").read_bytes()
    return Response(content, media_type="text/css; charset=utf-8", headers={"Cache-Control": "public, max-age=300"})


async def _no_icon() -> Response:
    """Browsers ask without being told to; this town has none."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _readable(received: QuotientFamilial) -> dict[str, object]:
    month = MONTHS[received.month - 1] if received.month and received.month <= len(MONTHS) else ""
    return {
        "value": None if received.value is None else f"{received.value:,}".replace(",", "\u202f"),
        "period": " ".join(str(part) for part in (month, received.year) if part),
        "access": received.access,
    }


def _same(given: str | None, expected: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())


def _redirect(url: str, *, cookie: str | None = None) -> RedirectResponse:
    response = RedirectResponse(url, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
    if cookie is not None:
        # Not Secure: this sample runs on http://localhost only, where some clients drop Secure cookies.
        response.set_cookie(COOKIE, cookie, max_age=SESSION_SECONDS, httponly=True, samesite="lax")
    return response
