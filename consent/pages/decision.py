"""The consent screen and the answer to it.

The form carries a sealed ticket: which session it was shown to, which request, in which language, when, and the
SHA-256 of the notice. The answer counts only if the notice, made again from the request, is still that one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from consent.desk import PendingAuthorization
from consent.pages.notice import Asked, Notice, notice
from consent.pages.site import Site
from consent.records import KeptNotice
from consent.session import Session
from openapi.pages.routing import redirect
from openapi.problem import AccordError, Language

TICKET_LIFETIME = 1800
_Parameter = Annotated[str, Query(max_length=512)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the form says."""

    fields: Sequence[str]
    until: str


def add_decision(router: APIRouter, site: Site) -> None:
    """Add the screen and its form."""

    @router.get("/oauth/authorize")
    def authorize(request: Request, client_id: _Parameter, request_uri: _Parameter) -> Response:
        pending = site.desk.pending(client_id, request_uri)
        session = site.visitor(request)
        return _screen(site, request, session, site.desk.meant_for(pending, session.citizen))

    @router.post("/oauth/authorize/decision")
    def decide(
        request: Request,
        fiche: Annotated[str, Form(max_length=8192)],
        decision: Annotated[Literal["agree", "refuse", "look"], Form()],
        champ: Annotated[list[Annotated[str, Form(max_length=200)]], Form(max_length=500)] = [],  # noqa: B006
        fin: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        session = site.visitor(request)
        ticket = _ticket(site, session, fiche)
        pending = site.desk.pending(str(ticket["client_id"]), str(ticket["request_uri"]))
        pending = site.desk.meant_for(pending, session.citizen)
        if decision == "refuse":
            return redirect(site.desk.refuse(pending, session.citizen))
        if decision == "look":
            return _screen(site, request, session, pending, answer=Answer(champ, fin))
        return _agree(site, request, session, pending=pending, ticket=ticket, answer=Answer(champ, fin))


def _agree(
    site: Site,
    request: Request,
    session: Session,
    *,
    pending: PendingAuthorization,
    ticket: Mapping[str, object],
    answer: Answer,
) -> Response:
    language: Language = "en" if ticket["language"] == "en" else "fr"
    shown = _notice(site, pending, now=int(str(ticket["shown_at"])), language=language)
    if shown.sha256 != ticket["notice_sha256"]:
        return _screen(site, request, session, pending, warning="changed", status=409, answer=answer)
    fields = _chosen(pending, answer.fields)
    if not any(fields):
        return _screen(site, request, session, pending, warning="choose_something", status=422, answer=answer)
    if answer.until not in map(str, shown.ends):
        raise AccordError("form_expired")
    site.desk.keep_notice(KeptNotice(shown.sha256, language, shown.text))
    return redirect(
        site.desk.agree(
            pending, session.citizen, fields=fields, expires_at=int(answer.until), notice_sha256=shown.sha256
        )
    )


def _screen(
    site: Site,
    request: Request,
    session: Session,
    pending: PendingAuthorization,
    *,
    warning: str | None = None,
    status: int = 200,
    answer: Answer | None = None,
) -> Response:
    """The screen; shown again, it keeps what was ticked: nobody agrees to a box that ticked itself."""
    language, now = site.language(request), int(site.clock())
    shown = _notice(site, pending, now=now, language=language)
    ticket = {
        "sid": session.sid,
        "client_id": pending.client.client_id,
        "request_uri": pending.request_uri,
        "language": language,
        "shown_at": now,
        "notice_sha256": shown.sha256,
    }
    content = {
        "notice": shown,
        "ticket": site.tickets.seal(ticket, lifetime=TICKET_LIFETIME),
        "warning": warning,
        "answer": answer,
    }
    targets = (pending.redirect_uri,)
    return site.show(request, "consent.html", status=status, form_targets=targets, content=content)


def _ticket(site: Site, session: Session, sealed: str) -> Mapping[str, object]:
    """The ticket of a form shown to this session: it is also what keeps forged requests out."""
    ticket = site.tickets.open(sealed)
    if ticket is None or ticket["sid"] != session.sid:
        raise AccordError("form_expired")
    return ticket


def _notice(site: Site, pending: PendingAuthorization, *, now: int, language: Language) -> Notice:
    asked = []
    for detail, permit in zip(pending.details, pending.permits, strict=True):
        dataset = site.catalogue.notice(detail.dataset)
        if dataset is None:
            raise AccordError("dataset_unknown")
        asked.append(Asked(detail, permit, dataset))
    return notice(pending.client, tuple(asked), now=now, language=language)


def _chosen(pending: PendingAuthorization, ticked: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The fields ticked, detail by detail, in the order asked; whatever else the form names is not there."""
    wanted = set(ticked)
    return tuple(
        tuple(name for name in detail.names if f"{place}:{name}" in wanted)
        for place, detail in enumerate(pending.details)
    )
