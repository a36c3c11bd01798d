"""What every page needs: the reader, the language, and a way to be shown with the headers browsers obey."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import Response

from audit.auditors import Auditor
from audit.door import Door, Visit, is_from_another_site
from audit.filters import names as filter_names
from audit.pages.agents import AgentProvider
from audit.pages.form import PERSONAL, Asked, address, read
from audit.pages.texts import TEXTS, known, say
from audit.pages.wording import SEARCH, Wording
from audit.ports import Names
from audit.reading import ReadingRoom
from openapi.pages.files import Files
from openapi.pages.frame import Frame, policy
from openapi.pages.routing import path_of
from openapi.problem import AccordError, Fact, Language, problem

CALLBACK = f"{SEARCH}/retour"
PERSON = f"{SEARCH}/personne"
SHEET = "audit.css"
FILES = Files("audit.pages", f"{SEARCH}/static", {SHEET: "text/css; charset=utf-8"})
"""The files served beside the pages."""


class LoginNeeded(Exception):
    """The page is for someone who is logged in; ``return_to`` is where she wanted to go."""

    def __init__(self, return_to: str) -> None:
        super().__init__("login needed")
        self.return_to = return_to


class Elsewhere(Exception):
    """The same page has a plainer address."""

    def __init__(self, address: str) -> None:
        super().__init__("elsewhere")
        self.address = address


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' collaborators and their common gestures. Immutable, shared by the request threads."""

    room: ReadingRoom
    door: Door
    provider: AgentProvider
    names: Names
    issuer: str
    sheet: str
    """The address of the stylesheet that every page of the deployment has."""
    icon: str
    clock: Callable[[], float]
    frame: Frame = field(init=False)

    def __post_init__(self) -> None:
        frame = Frame(
            "audit.pages",
            TEXTS,
            language_cookie=self.door.session_cookie.replace("session", "lang"),
            secure=self.issuer.startswith("https:"),
            common={"icon": self.icon, "sheets": (self.sheet, FILES.url(SHEET)), "script": None, "issuer": self.issuer},
            nowhere=(CALLBACK,),
        )
        object.__setattr__(self, "frame", frame)

    def reader(self, request: Request) -> Auditor:
        """Who reads. A page sends a stranger to log in first. Raises :class:`AccordError` for somebody unknown."""
        try:
            return self.door.page_reader(request)
        except AccordError as refusal:
            if refusal.slug != "auditor_login_required" or "authorization" in request.headers:
                raise
            raise LoginNeeded(path_of(request)) from None

    def ask(self, request: Request, reader: Auditor, *, counted: bool = False, stating: bool = False) -> Asked:
        """The filter of the address. Raises :class:`Elsewhere` for the empty fields that a form sends along.

        Also ``AccordError('auditor_not_allowed')``, before anything is said of a filter by a person. Such a filter is
        only taken from a page of ours or from the reader herself: a link of somebody else's must not make her look a
        person up, on a ground that she did not state. It leads to the form; ``stating``: this is the form.
        """
        parameters = dict(request.query_params)
        if any(name in parameters and not parameters[name].strip() for name in filter_names()):
            raise Elsewhere(path_of(request))
        asked = read(parameters, counted=counted)
        if not reader.sees_details and any(name in asked.given for name in PERSONAL):
            raise AccordError("auditor_not_allowed")
        if not stating and asked.filter is not None and asked.filter.is_personal and is_from_another_site(request):
            raise Elsewhere(address(PERSON, asked.given))
        return asked

    def language(self, request: Request) -> Language:
        """The language of its page."""
        return self.frame.language(request)

    def wording(self, request: Request, reader: Auditor | None = None) -> Wording:
        """The words of entries in the request's language."""
        return Wording(self.names, self.language(request), reader)

    def show(
        self, request: Request, template: str, *, status: int = 200, content: Mapping[str, object] | None = None
    ) -> Response:
        """A page."""
        visit = self.door.visit(request.cookies)
        # The logout ends at ProConnect.
        provider = self.provider.origin_for(visit)
        told = {"readings": request.query_params.get("kind") == "audit.query", **self._person(request, visit)}
        return self.frame.show(
            request,
            template,
            status=status,
            policy=policy((provider,) if provider else ()),
            content={**told, **(content or {})},
        )

    def show_problem(
        self, request: Request, slug: str, facts: Mapping[str, Fact] | None = None, *, retry: str | None = None
    ) -> Response:
        """A registered problem as a page, in the pages' own words where they have some.

        ``retry`` is a path of ours that starts again.
        """
        registered, language = problem(slug), self.language(request)
        if known("problem", slug):
            return self.show_trouble(request, slug, status=registered.status)
        document = registered.document(facts or {}, base=self.issuer, language=language)
        content = {"title": document["title"], "detail": document["detail"], "retry": retry, "reference": None}
        if slug == "auditor_unknown" and facts:
            content |= {"reference": facts["reference"], "detail": say(language, "problem.unknown_detail")}
        return self.show(request, "problem.html", status=registered.status, content=content)

    def show_trouble(self, request: Request, key: str, *, status: int) -> Response:
        """A trouble of the pages' own, named by its sentences (``problem.<key>``)."""
        language = self.language(request)
        content = {"title": say(language, f"problem.{key}"), "detail": say(language, f"problem.{key}_detail")}
        return self.show(request, "problem.html", status=status, content={**content, "retry": None, "reference": None})

    def _person(self, request: Request, visit: Visit | None) -> dict[str, object]:
        """Who is logged in, as the top of the page says it."""
        reader = self.door.page_reader_or_none(request)
        wording = self.wording(request)
        scope = ""
        if reader is not None:
            whose = wording.organisation(reader.organisation) if reader.organisation else None
            scope = say(wording.language, f"scope.{reader.role}_{'one' if whose else 'all'}", organisation=whose or "")
        return {
            "visit": visit,
            "reader": reader,
            "scope": scope,
            "logout_token": self.door.form_token(visit, "logout") if visit else "",
        }
