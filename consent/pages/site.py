"""What every page needs: the session, the language, and a way to be shown with the headers browsers obey."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import Response

from consent.config import ConsentConfig
from consent.desk import Desk
from consent.franceconnect import FranceConnect
from consent.outbound import origin
from consent.pages.cards import Wording
from consent.pages.texts import TEXTS, known, say
from consent.ports import Accesses, Catalogue, Registry
from consent.session import FormGuard, Login, Seal, Session, Sessions
from openapi.pages.files import Files
from openapi.pages.frame import Frame, policy
from openapi.pages.routing import path_of, redirect
from openapi.problem import AccordError, Fact, Language, problem

CALLBACK = "/franceconnect/retour"
SHEET = "accord.css"
SCRIPT = "verify.js"
ICON = "accord.svg"
FILES = Files(
    "consent.pages",
    "/static",
    {SHEET: "text/css; charset=utf-8", SCRIPT: "text/javascript; charset=utf-8", ICON: "image/svg+xml"},
)
"""The files served beside the pages; every page of the deployment has the stylesheet and the icon."""


class LoginNeeded(Exception):
    """The page is for someone who is logged in; ``return_to`` is where she wanted to go."""

    def __init__(self, return_to: str) -> None:
        super().__init__("login needed")
        self.return_to = return_to


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' collaborators and their common gestures. Immutable, shared by the request threads."""

    config: ConsentConfig
    desk: Desk
    catalogue: Catalogue
    registry: Registry
    accesses: Accesses
    log_key: str
    """The log's public key, as a C2SP vkey."""
    clock: Callable[[], float]
    franceconnect: FranceConnect
    sessions: Sessions
    guard: FormGuard
    tickets: Seal
    frame: Frame = field(init=False)

    def __post_init__(self) -> None:
        frame = Frame(
            "consent.pages",
            TEXTS,
            language_cookie=self.sessions.session_cookie.replace("session", "lang"),
            secure=self.config.issuer.startswith("https:"),
            common={"icon": FILES.url(ICON), "sheets": (FILES.url(SHEET),)},
            nowhere=(CALLBACK,),
        )
        object.__setattr__(self, "frame", frame)

    def session(self, request: Request) -> Session | None:
        """Who is logged in, if anyone."""
        return self.sessions.current(request.cookies)

    def visitor(self, request: Request) -> Session:
        """Who is logged in. A page sends a stranger to log in first; a form of an ended session says so."""
        session = self.session(request)
        if session is None:
            if request.method == "POST":
                raise AccordError("session_expired")
            raise LoginNeeded(path_of(request))
        return session

    def check_form(self, session: Session, action: str, token: str) -> None:
        """Refuse a form that this session did not get for this action."""
        if not self.guard.allows(session, action, token):
            raise AccordError("form_expired")

    def language(self, request: Request) -> Language:
        """The language of its page."""
        return self.frame.language(request)

    def wording(self, request: Request) -> Wording:
        """The words for grants and accesses, now and in the request's language."""
        return Wording(self.catalogue, self.registry, self.language(request), int(self.clock()))

    def depart(self, return_to: str) -> Response:
        """Send the browser to FranceConnect."""
        departure = self.franceconnect.depart()
        response = redirect(departure.url)
        self.sessions.start_login(response, Login(departure.state, departure.nonce, return_to))
        return response

    def show(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        form_targets: tuple[str, ...] = (),
        script: str | None = None,
        content: Mapping[str, object] | None = None,
    ) -> Response:
        """A page. ``form_targets``: URLs that its forms may end at after redirects, besides FranceConnect's.

        ``script``: the one static file that it runs; without it the browser is told to run none.
        """
        session = self.session(request)
        targets = (origin(url) for url in (self.config.franceconnect.issuer, *form_targets))
        told = {
            "session": session,
            "logout_token": self.guard.token(session, "logout") if session else "",
            "script": FILES.url(script) if script else None,
        }
        return self.frame.show(
            request,
            template,
            status=status,
            policy=policy(targets, scripted=script is not None),
            content={**told, **(content or {})},
        )

    def show_problem(
        self, request: Request, slug: str, facts: Mapping[str, Fact] | None = None, *, retry: str | None = None
    ) -> Response:
        """A registered problem as a page, in the pages' own words where they have some.

        ``retry`` is a path of ours that starts again.
        """
        if known("problem", slug):
            return self.show_trouble(request, slug, status=problem(slug).status)
        registered, language = problem(slug), self.language(request)
        document = registered.document(facts or {}, base=self.config.issuer, language=language)
        content = {"title": document["title"], "detail": document["detail"], "retry": retry}
        return self.show(request, "problem.html", status=registered.status, content=content)

    def show_trouble(self, request: Request, key: str, *, status: int) -> Response:
        """A trouble of the pages' own, named by its sentences (``problem.<key>``)."""
        language = self.language(request)
        content = {"title": say(language, f"problem.{key}"), "detail": say(language, f"problem.{key}_detail")}
        return self.show(request, "problem.html", status=status, content={**content, "retry": None})
