"""Logging in with ProConnect and out again."""

import hmac
import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from audit.door import Login
from audit.pages.site import CALLBACK, Site
from audit.pages.wording import SEARCH
from openapi.pages.routing import redirect
from openapi.problem import AccordError

LANDING = f"{SEARCH}/deconnexion"

_OWN_PATH = re.compile(r"/audit(/[A-Za-z0-9/_-]*)?(\?[A-Za-z0-9._~%:&=+/-]*)?\Z")
_LONGEST_RETURN = 1500
"""Characters: what is kept for the time of a login must fit into a cookie."""
_Parameter = Annotated[str, Query(max_length=4096)]


def add_login(router: APIRouter, site: Site) -> None:
    """Add the way in, ProConnect's way back and the way out."""
    _add_arrival(router, site)
    _add_departure(router, site)


def _add_arrival(router: APIRouter, site: Site) -> None:
    @router.get(f"{SEARCH}/connexion")
    def log_in(request: Request, retour: _Parameter = SEARCH) -> Response:
        target = own_path(retour)
        return redirect(target) if site.door.visit(request.cookies) else depart(site, target)

    @router.get(CALLBACK)
    def come_back(request: Request, code: _Parameter = "", state: _Parameter = "", error: _Parameter = "") -> Response:
        login = site.door.login(request.cookies)
        if login is None or not hmac.compare_digest(login.state.encode(), state.encode(errors="replace")):
            raise AccordError("login_expired")
        try:
            response = _logged_in(site, login, code=code, error=error)
        except AccordError as failure:
            response = site.show_problem(request, failure.slug, failure.facts, retry=own_path(login.return_to))
        site.door.end_login(response)
        return response


def _add_departure(router: APIRouter, site: Site) -> None:
    @router.post(LANDING)
    def log_out(request: Request, jeton: Annotated[str, Form(max_length=2000)]) -> Response:
        visit = site.door.visit(request.cookies)
        if visit is None:
            return redirect(LANDING)
        if not site.door.allows(visit, "logout", jeton):
            raise AccordError("form_expired")
        response = redirect(site.provider.farewell(visit, landing=LANDING, issuer=site.issuer))
        site.door.show_out(response)
        return response

    @router.get(LANDING)
    def logged_out(request: Request) -> Response:
        return site.show(request, "loggedout.html")


def depart(site: Site, return_to: str) -> Response:
    """Send the browser to ProConnect; ``return_to``: where it goes from there. Raises ``AccordError``."""
    departure = site.provider.depart()
    response = redirect(departure.url)
    site.door.start_login(response, departure, return_to=own_path(return_to))
    return response


def own_path(path: str) -> str:
    """The path, if it is one of these pages'; the search otherwise. No redirect leads away from here."""
    return path if len(path) <= _LONGEST_RETURN and _OWN_PATH.match(path) else SEARCH


def _logged_in(site: Site, login: Login, *, code: str, error: str) -> Response:
    if error or not code:
        raise AccordError("agent_login_refused")
    agent = site.provider.authenticate(code=code, nonce=login.nonce)
    response = redirect(own_path(login.return_to))
    site.door.let_in(response, agent)
    return response
