"""Logging in with FranceConnect and out again."""

import hmac
import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from consent.identity import pseudonym, seal
from consent.model import Citizen
from consent.pages.site import CALLBACK, Site
from consent.session import Login
from openapi.fields import PivotIdentity
from openapi.pages.routing import redirect
from openapi.problem import AccordError

_OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/_-]*(\?[A-Za-z0-9._~%:&=+-]*)?\Z")
_Parameter = Annotated[str, Query(max_length=2048)]


def add_login(router: APIRouter, site: Site) -> None:
    """Add the way in, FranceConnect's way back and the way out."""

    @router.get("/connexion")
    def log_in(request: Request, retour: _Parameter = "/mes-autorisations") -> Response:
        target = own_path(retour)
        return redirect(target) if site.session(request) else site.depart(target)

    @router.get(CALLBACK)
    def come_back(request: Request, code: _Parameter = "", state: _Parameter = "", error: _Parameter = "") -> Response:
        login = site.sessions.login(request.cookies)
        if login is None or not hmac.compare_digest(login.state.encode(), state.encode()):
            raise AccordError("login_expired")
        try:
            response = _logged_in(site, login, code=code, error=error)
        except AccordError as failure:
            response = site.show_problem(request, failure.slug, failure.facts, retry=login.return_to)
        site.sessions.end_login(response)
        return response

    @router.post("/deconnexion")
    def log_out(request: Request, jeton: Annotated[str, Form(max_length=200)]) -> Response:
        session = site.session(request)
        if session is None:
            return redirect("/deconnexion")
        site.check_form(session, "logout", jeton)
        response = redirect(_farewell(site, session.id_token))
        site.sessions.end(response)
        return response

    @router.get("/deconnexion")
    def logged_out(request: Request) -> Response:
        return site.show(request, "loggedout.html")


def own_path(path: str) -> str:
    """The path, if it is one of this site's; the home page otherwise. No redirect leads away from here."""
    return path if _OWN_PATH.match(path) else "/"


def _logged_in(site: Site, login: Login, *, code: str, error: str) -> Response:
    if error or not code:
        raise AccordError("login_refused")
    arrived = site.franceconnect.authenticate(code=code, nonce=login.nonce)
    name = pseudonym(arrived.identity, site.config.pseudonym_key)
    citizen = Citizen(name, seal(arrived.identity, name, site.config.sealing_keys), arrived.acr)
    response = redirect(own_path(login.return_to))
    site.sessions.start(response, citizen, name=_spoken_name(arrived.identity), id_token=arrived.id_token)
    return response


def _farewell(site: Site, id_token: str | None) -> str:
    """FranceConnect's logout, then our page; ours alone when FranceConnect is down: the citizen leaves anyway."""
    if id_token is None:
        return "/deconnexion"
    try:
        return site.franceconnect.logout_url(id_token, return_to=f"{site.config.issuer}/deconnexion")
    except AccordError:
        return "/deconnexion"


def _spoken_name(identity: PivotIdentity) -> str:
    return " ".join((*identity.given_names[:1], identity.preferred_username or identity.family_name))
