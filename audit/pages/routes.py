"""The auditors' router. A page's troubles are pages too, in plain words and with the right status.

Every page that reads the log asks the reading room, which writes the act down first: no entry, no page.
"""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from audit.door import Door
from audit.exports.parquet import ParquetUnavailable
from audit.pages.agents import AgentProvider
from audit.pages.chronology import add_chronology
from audit.pages.entry import add_entry
from audit.pages.export import add_export
from audit.pages.login import add_login, depart
from audit.pages.search import add_search
from audit.pages.site import FILES, Elsewhere, LoginNeeded, Site
from audit.pages.unusual import add_unusual
from audit.pages.wording import SEARCH
from audit.ports import AgentLogin, Names
from audit.reading import ReadingRoom
from openapi.pages.routing import page_route, redirect
from openapi.problem import AccordError

_REFUSALS = (LoginNeeded, Elsewhere, AccordError, ParquetUnavailable, RequestValidationError)


def router(
    *,
    room: ReadingRoom,
    door: Door,
    login: AgentLogin,
    names: Names,
    issuer: str,
    sheet: str,
    icon: str,
    clock: Callable[[], float],
) -> APIRouter:
    """Every page under ``/audit``. ``sheet`` and ``icon``: addresses of the deployment's stylesheet and icon."""
    provider = AgentProvider(login, clock=clock)
    site = Site(room, door, provider, names, issuer, sheet, icon, clock)
    pages = APIRouter(route_class=page_route(_REFUSALS, partial(_refused, site)), include_in_schema=False)
    add_search(pages, site)
    add_entry(pages, site)
    add_export(pages, site)
    add_chronology(pages, site)
    add_unusual(pages, site)
    add_login(pages, site)
    FILES.add_to(pages)
    return pages


def _refused(site: Site, request: Request, refusal: Exception) -> Response:
    if isinstance(refusal, LoginNeeded):
        return _log_in_first(site, request, refusal.return_to)
    if isinstance(refusal, Elsewhere):
        return redirect(refusal.address)
    if isinstance(refusal, AccordError):
        return site.show_problem(request, refusal.slug, refusal.facts, retry=_retry(refusal.slug))
    if isinstance(refusal, ParquetUnavailable):
        return site.show_trouble(request, "parquet_unavailable", status=400)
    return site.show_trouble(request, "request_malformed", status=400)


def _retry(slug: str) -> str | None:
    """Where to begin again, for what beginning again may mend."""
    return f"{SEARCH}/connexion" if slug in {"login_expired", "agent_login_refused", "form_expired"} else None


def _log_in_first(site: Site, request: Request, return_to: str) -> Response:
    try:
        return depart(site, return_to)
    except AccordError as failure:
        return site.show_problem(request, failure.slug, failure.facts, retry=return_to)
