"""One authorisation in full: what it allows, the exact text that was agreed to, who used it, and its record to keep."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from consent.model import Grant
from consent.pages.account import STANDING, GrantId, own_grant
from consent.pages.dates import day
from consent.pages.site import Site
from consent.pages.texts import named, say
from consent.ports import AccessView
from consent.session import Session
from openapi.rules import sources

LAST = 5
"""Accesses shown of it; the rest is under 'my accesses'."""
LOOKED_THROUGH = 200
"""Accesses among which they are looked for."""


def add_authorisation(router: APIRouter, site: Site) -> None:
    """Add the page and the record."""

    @router.get("/mes-autorisations/{grant_id}")
    def authorisation(request: Request, grant_id: GrantId) -> Response:
        session, language = site.visitor(request), site.language(request)
        grant = own_grant(site, session, grant_id)
        wording = site.wording(request)
        content = {
            "card": wording.grant(grant),
            "withdrawable": wording.grant(grant).standing in STANDING,
            "grounds": [named(language, "legal_basis", one) for one in grant.legal_basis.split(",")],
            "limits": [
                say(language, "notice.max_per_day", count=detail.max_per_day)
                for detail in grant.details
                if detail.max_per_day is not None
            ],
            "ends_soon": say(language, "authorisation.ends_soon", date=day(grant.expires_at, language))
            if _is_near_its_end(grant, int(site.clock()))
            else None,
            "about_children": _is_about_children(site, grant),
            "notice": site.desk.notice_of(grant),
            "replaced": grant.supersedes,
            "accesses": [wording.access(view) for view in _last_accesses(site, session, grant)],
        }
        return site.show(request, "authorisation.html", content=content)

    @router.get("/mes-autorisations/{grant_id}/recu.json")
    def record(request: Request, grant_id: GrantId) -> Response:
        session = site.visitor(request)
        record = site.desk.record(grant_id, session.citizen.pseudonym)
        headers = {
            "Content-Disposition": f'attachment; filename="accord-autorisation-{grant_id}.json"',
            "Cache-Control": "no-store",
        }
        content = json.dumps(record, ensure_ascii=False, indent=2)
        return Response(content, media_type="application/ld+json", headers=headers)


def _last_accesses(site: Site, session: Session, grant: Grant) -> list[AccessView]:
    found = site.accesses.of(session.citizen.pseudonym, limit=LOOKED_THROUGH, recipient=grant.recipient)
    return [view for view in found.views if view.grant_id == grant.grant_id][:LAST]


def _is_near_its_end(grant: Grant, now: int) -> bool:
    return grant.status == "active" and grant.renewal_due_at <= now < grant.expires_at


def _is_about_children(site: Site, grant: Grant) -> bool:
    """Whether one of its fields is about a child rather than about her."""
    notices = [
        (site.catalogue.notice(detail.dataset), (*detail.fields, *sources(detail.rules))) for detail in grant.details
    ]
    return any(
        notice.fields[name].about == "child"
        for notice, names in notices
        if notice
        for name in names
        if name in notice.fields
    )
