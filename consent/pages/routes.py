"""The pages' router. A page's troubles are pages too, in plain words and with the right status."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from consent.config import ConsentConfig
from consent.desk import Desk
from consent.errors import OAuthError
from consent.franceconnect import FranceConnect
from consent.outbound import check_transport
from consent.pages.account import add_account
from consent.pages.authorisation import add_authorisation
from consent.pages.decision import add_decision
from consent.pages.export import add_export
from consent.pages.login import add_login
from consent.pages.site import CALLBACK, FILES, LoginNeeded, Site
from consent.pages.verification import add_verification
from consent.ports import Accesses, Catalogue, Registry
from consent.session import FormGuard, Seal, Sessions
from openapi.pages.routing import page_route
from openapi.problem import AccordError

_REFUSALS = (LoginNeeded, AccordError, OAuthError, RequestValidationError)


def router(
    config: ConsentConfig,
    *,
    desk: Desk,
    catalogue: Catalogue,
    registry: Registry,
    accesses: Accesses,
    log_key: str,
    franceconnect: FranceConnect,
    clock: Callable[[], float],
) -> APIRouter:
    """Every page of citizens; ``log_key`` is the log's public key (C2SP vkey).

    Raises :class:`ValueError` for an issuer on plain http that is not loopback.
    """
    check_transport(config.issuer)
    secure = config.issuer.startswith("https:")
    site = Site(
        config=config,
        desk=desk,
        catalogue=catalogue,
        registry=registry,
        accesses=accesses,
        log_key=log_key,
        clock=clock,
        franceconnect=franceconnect,
        sessions=Sessions(config.session_key, secure=secure, clock=clock),
        guard=FormGuard(config.session_key),
        tickets=Seal(config.session_key, "ticket", clock=clock),
    )
    pages = APIRouter(route_class=page_route(_REFUSALS, partial(_refused, site)), include_in_schema=False)
    _add_home(pages, site)
    FILES.add_to(pages)
    add_login(pages, site)
    add_decision(pages, site)
    add_account(pages, site)
    add_export(pages, site)
    add_authorisation(pages, site)
    add_verification(pages, site)
    return pages


def relying_party(config: ConsentConfig, *, clock: Callable[[], float]) -> FranceConnect:
    """Accord at FranceConnect, which sends citizens back to a page of ours; close it in the end."""
    return FranceConnect(config.franceconnect, redirect_uri=config.issuer + CALLBACK, clock=clock)


def _add_home(pages: APIRouter, site: Site) -> None:
    @pages.get("/")
    def home(request: Request) -> Response:
        return site.show(request, "home.html")


def _refused(site: Site, request: Request, refusal: Exception) -> Response:
    if isinstance(refusal, LoginNeeded):
        return _log_in_first(site, request, refusal.return_to)
    if isinstance(refusal, AccordError):
        retry = "/connexion" if refusal.slug == "session_expired" else None
        return site.show_problem(request, refusal.slug, refusal.facts, retry=retry)
    if isinstance(refusal, OAuthError):
        return site.show_trouble(request, "request_over", status=400)
    return site.show_trouble(request, "request_malformed", status=400)


def _log_in_first(site: Site, request: Request, return_to: str) -> Response:
    try:
        return site.depart(return_to)
    except AccordError as failure:
        return site.show_problem(request, failure.slug, failure.facts, retry=return_to)
