"""A citizen's own pages: what she agreed to, how to take it back, and who looked."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import Response

from consent.model import Grant
from consent.pages.cards import Wording
from consent.pages.search import AccessSearch
from consent.pages.site import Site
from consent.pages.texts import say
from consent.ports import AccessPage
from consent.session import Session
from openapi.fields import Siret
from openapi.pages.routing import redirect
from openapi.problem import AccordError

STANDING = ("active", "suspended")
"""What a citizen can still withdraw."""
PAGE = 25
"""Accesses on one page."""
LAST_INDEX = 2**63 - 1

GrantId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
_Day = Annotated[str, Query(max_length=10)]
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
            "active": [card for card in cards if card.standing in STANDING],
            "ended": [card for card in cards if card.standing not in STANDING],
            "withdrawn": bool(retrait),
        }
        return site.show(request, "grants.html", content=content)

    @router.get("/mes-autorisations/{grant_id}/retrait")
    def confirm_withdrawal(request: Request, grant_id: GrantId) -> Response:
        session = site.visitor(request)
        card = site.wording(request).grant(own_grant(site, session, grant_id))
        if card.standing not in STANDING:
            return redirect("/mes-autorisations")
        content = {"card": card, "token": site.guard.token(session, f"withdraw {grant_id}")}
        return site.show(request, "withdrawal.html", content=content)

    @router.post("/mes-autorisations/{grant_id}/retrait")
    def withdraw(request: Request, grant_id: GrantId, jeton: Annotated[str, Form(max_length=200)]) -> Response:
        session = site.visitor(request)
        site.check_form(session, f"withdraw {grant_id}", jeton)
        site.desk.withdraw(grant_id, session.citizen.pseudonym)
        return redirect("/mes-autorisations?retrait=fait")


def _add_accesses(router: APIRouter, site: Site) -> None:
    @router.get("/mes-acces")
    def accesses(
        request: Request,
        avant: Annotated[int | None, Query(ge=0, le=LAST_INDEX)] = None,
        organisme: Annotated[str, Query(max_length=14, pattern=r"^([0-9]{14})?$")] = "",
        du: _Day = "",
        au: _Day = "",
    ) -> Response:
        session, search = site.visitor(request), AccessSearch(organisme, du, au)
        found, wording = _found(site, session, search, before=avant), site.wording(request)
        seen = (*(view.recipient for view in found.views), organisme)
        content = {
            "cards": [wording.access(view) for view in found.views],
            "search": search,
            "mistake": say(wording.language, f"accesses.mistake_{search.mistake}") if search.mistake else None,
            "organisations": _organisations(site, session, wording, seen),
            "empty": say(wording.language, _nothing(found, search, before=avant)),
            "later": avant is not None,
            "older": None if found.older is None else search.older(found.older),
        }
        return site.show(request, "accesses.html", status=400 if search.mistake else 200, content=content)

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


def _found(site: Site, session: Session, search: AccessSearch, *, before: int | None) -> AccessPage:
    if search.mistake:
        return AccessPage((), None)
    return site.accesses.of(
        session.citizen.pseudonym,
        before=before,
        limit=PAGE,
        recipient=search.recipient,
        since=search.since,
        until=search.until,
    )


def _nothing(found: AccessPage, search: AccessSearch, *, before: int | None) -> str:
    """The sentence in the place of accesses, when there are none to show."""
    if found.older is not None:
        return "accesses.none_yet"
    if before is not None:
        return "accesses.none_older"
    return "accesses.none_found" if search else "accesses.none"


def _organisations(site: Site, session: Session, wording: Wording, seen: Iterable[str]) -> list[tuple[str, str]]:
    """SIRET and name of those that she authorised and of those ``seen`` on the page, by name."""
    authorised = (grant.recipient for grant in site.desk.grants_of(session.citizen.pseudonym))
    named = {siret: wording.organisation(Siret(siret)) for siret in (*authorised, *seen) if siret}
    return sorted(named.items(), key=lambda one: one[1].casefold())


def own_grant(site: Site, session: Session, grant_id: str) -> Grant:
    """A grant of hers. Raises ``AccordError('not_found')`` for any other."""
    for grant in site.desk.grants_of(session.citizen.pseudonym):
        if grant.grant_id == grant_id:
            return grant
    raise AccordError("not_found")
