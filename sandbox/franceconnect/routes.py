"""A federation's HTTP surface, to mount under ``/api/v2``: FranceConnect's, and ProConnect's without the last but one.

============================ =====================================================================
``/authorize``               checks the request, then sends the person to a login page
``/interaction/{name}``      the login page: the test people, one button each
``/token`` ``/userinfo``     the partner's side: code for tokens, token for a signed identity
``/checktoken``              the data provider's side: whose a token is, signed and encrypted
``/session/end``             logout, back to the partner
============================ =====================================================================
"""

from importlib import resources
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox.forms import BadForm, read_form
from sandbox.franceconnect.authorize import Login, Malformed, Refused, check_authorize
from sandbox.franceconnect.federation import Federation, TokenRefused, with_query
from sandbox.franceconnect.provider import Provider
from sandbox.rendering import Pages

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_AnyFederation: TypeAlias = Federation[Any]  # whoever logs in there

_pages = Pages("sandbox.franceconnect")


def router(provider: Provider) -> APIRouter:
    """Every endpoint of FranceConnect."""
    routes = login_router(provider)
    _add_data_provider_side(routes, provider)
    return routes


def login_router(federation: _AnyFederation) -> APIRouter:
    """The endpoints of a login, from discovery to the end of session."""
    routes = APIRouter(include_in_schema=False)
    _add_published(routes, federation)
    _add_authorize(routes, federation)
    _add_login(routes, federation)
    _add_partner_side(routes, federation)
    return routes


def _add_published(routes: APIRouter, provider: _AnyFederation) -> None:
    @routes.get("/.well-known/openid-configuration")
    async def configuration() -> JSONResponse:
        return JSONResponse(provider.metadata())

    @routes.get("/jwks")
    async def jwks() -> JSONResponse:
        return JSONResponse(provider.jwks())

    @routes.get("/style.css")
    async def style() -> Response:
        content = resources.files("sandbox.franceconnect").joinpath("static/login.css").read_bytes()
        return Response(content, media_type="text/css; charset=utf-8")


def _add_authorize(routes: APIRouter, provider: _AnyFederation) -> None:
    @routes.get("/authorize")
    async def authorize(request: Request) -> Response:
        return _answer_authorize(provider, request.query_params.multi_items())

    @routes.post("/authorize")
    async def authorize_by_form(request: Request) -> Response:
        try:
            return _answer_authorize(provider, list(await read_form(request)))
        except BadForm as error:
            return _error_page(provider, str(error))


def _add_login(routes: APIRouter, provider: _AnyFederation) -> None:
    @routes.get("/interaction/{name}")
    async def login_page(name: str) -> Response:
        login = provider.interaction(name)
        return _error_page(provider, "this login has expired") if login is None else _login_page(provider, login)

    @routes.post("/interaction/{name}")
    async def log_in(request: Request, name: str) -> Response:
        try:
            form = dict(await read_form(request))
        except BadForm as error:
            return _error_page(provider, str(error))
        if form.get("abandon"):
            target = provider.abandon(name)
        else:
            person = provider.people.get(form.get("person", ""))
            target = provider.authenticate(name, person) if person else None
        return _error_page(provider, "this login has expired") if target is None else _redirect(target)

    @routes.get("/session/end")
    async def end_session(request: Request) -> Response:
        target = provider.end_session(dict(request.query_params))
        return (
            _error_page(provider, "logout refused: id_token_hint, redirect or state")
            if target is None
            else _redirect(target)
        )


def _add_partner_side(routes: APIRouter, provider: _AnyFederation) -> None:
    @routes.post("/token")
    async def token(request: Request) -> JSONResponse:
        try:
            return JSONResponse(provider.redeem(dict(await read_form(request))), headers=NO_STORE)
        except BadForm as error:
            return _token_error("invalid_request", str(error))
        except TokenRefused as refusal:
            return _token_error(refusal.error, refusal.description)

    @routes.get("/userinfo")
    async def userinfo(authorization: Annotated[str, Header()] = "") -> Response:
        scheme, _, access_token = authorization.partition(" ")
        answer = provider.userinfo(access_token.strip()) if scheme.lower() == "bearer" else None
        if answer is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"', **NO_STORE}
            body = {"error": "invalid_token", "error_description": "invalid token provided"}
            return JSONResponse(body, 401, headers=challenge)
        return Response(answer, media_type="application/jwt", headers=NO_STORE)


def _add_data_provider_side(routes: APIRouter, provider: Provider) -> None:
    @routes.post("/checktoken")
    async def checktoken(request: Request) -> Response:
        try:
            fields = await read_form(request)
            # A parameter given twice is none that FranceConnect reads.
            answer = provider.checktoken(dict(fields) if len(dict(fields)) == len(fields) else {})
        except BadForm as error:
            return _token_error("invalid_request", str(error))
        except TokenRefused as refusal:
            return _token_error(refusal.error, refusal.description)
        return Response(answer, media_type="application/token-introspection+jwt", headers=NO_STORE)


def _answer_authorize(provider: _AnyFederation, parameters: list[tuple[str, str]]) -> Response:
    decision = check_authorize(parameters, provider.partners, provider.rules)
    if isinstance(decision, Malformed):
        return _error_page(provider, decision.reason)
    if isinstance(decision, Refused):
        facts = {"error": decision.error, "error_description": decision.description, "state": decision.state}
        return _redirect(with_query(decision.redirect_uri, facts))
    return _redirect(f"{provider.issuer}/interaction/{provider.open_interaction(decision)}")


def _login_page(provider: _AnyFederation, login: Login) -> HTMLResponse:
    # A browser holds a form to its page's form-action through redirects too: the partner's origin must be in it.
    parts = urlsplit(login.redirect_uri)
    return _pages.render(
        "login.html",
        {
            "federation": provider.name,
            "people": provider.people.values(),
            "partner": parts.netloc,
            "style": _style_url(provider),
        },
        form_targets=(f"{parts.scheme}://{parts.netloc}",),
    )


def _error_page(provider: _AnyFederation, reason: str) -> HTMLResponse:
    values = {"federation": provider.name, "reason": reason, "style": _style_url(provider)}
    return _pages.render("error.html", values, status=400)


def _style_url(provider: _AnyFederation) -> str:
    return f"{provider.issuer}/style.css"


def _token_error(error: str, description: str) -> JSONResponse:
    status = 401 if error == "invalid_client" else 400
    return JSONResponse({"error": error, "error_description": description}, status, headers=NO_STORE)


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, 303, headers=NO_STORE)
