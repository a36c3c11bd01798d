"""A citizen's own pages: what she agreed to, how to take it back, and who looked."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import Response

from consent.model import Grant
from consent.pages.site import Site, redirect
from consent.session import Session
from openapi.problem import AccordError

PAGE = 25
"""Accesses on one page."""
LAST_INDEX = 2**63 - 1

_GrantId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
_Index = Annotated[int, Path(ge=0, le=LAST_INDEX)]


def add_account(router: APIRouter, site: Site) -> None:
    """Add the authorisations, the withdrawal and the accesses."""
    _add_grants(router, site)
    _add_accesses(router, site)


def _add_grants(router: APIRouter, site: Site) -> None:
    @router.get("/mes-autorisations")
    def grants(request: Request, retrait: Annotated[str, Query(max_length=10)] = "") -> Response:
        session, wording = site.visitor(request), site.wording(request)
        found = sorted(site.desk.grants_of(session.citizen.pseudonym), key=lambda grant: -grant.given_at)
        cards = [wording.grant(grant) for grant in found]
        content = {
            "active": [card for card in cards if card.standing == "active"],
            "ended": [card for card in cards if card.standing != "active"],
            "withdrawn": bool(retrait),
        }
        return site.show(request, "grants.html", content=content)

    @router.get("/mes-autorisations/{grant_id}/retrait")
    def confirm_withdrawal(request: Request, grant_id: _GrantId) -> Response:
        session = site.visitor(request)
        card = site.wording(request).grant(_own_grant(site, session, grant_id))
        if card.standing != "active":
            return redirect("/mes-autorisations")
        content = {"card": card, "token": site.guard.token(session, f"withdraw {grant_id}")}
        return site.show(request, "withdrawal.html", content=content)

    @router.post("/mes-autorisations/{grant_id}/retrait")
    def withdraw(request: Request, grant_id: _GrantId, jeton: Annotated[str, Form(max_length=200)]) -> Response:
        session = site.visitor(request)
        site.check_form(session, f"withdraw {grant_id}", jeton)
        site.desk.withdraw(grant_id, session.citizen.pseudonym)
        return redirect("/mes-autorisations?retrait=fait")


def _add_accesses(router: APIRouter, site: Site) -> None:
    @router.get("/mes-acces")
    def accesses(request: Request, avant: Annotated[int | None, Query(ge=0, le=LAST_INDEX)] = None) -> Response:
        session, wording = site.visitor(request), site.wording(request)
        found = site.accesses.of(session.citizen.pseudonym, before=avant, limit=PAGE + 1)
        cards = [wording.access(access) for access in found[:PAGE]]
        content = {"cards": cards, "older": cards[-1].index if len(found) > PAGE else None}
        return site.show(request, "accesses.html", content=content)

    @router.get("/mes-acces/{index}/preuve")
    def proof(request: Request, index: _Index) -> Response:
        session = site.visitor(request)
        content = site.accesses.proof(session.citizen.pseudonym, index)
        if content is None:
            raise AccordError("not_found")
        headers = {
            "Content-Disposition": f'attachment; filename="accord-preuve-{index}.json"',
            "Cache-Control": "no-store",
        }
        return Response(content, media_type="application/json", headers=headers)


def _own_grant(site: Site, session: Session, grant_id: str) -> Grant:
    for grant in site.desk.grants_of(session.citizen.pseudonym):
        if grant.grant_id == grant_id:
            return grant
    raise AccordError("not_found")
