"""What every page needs: the session, the language, and a way to be shown with the headers browsers obey."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import resources

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from consent.config import ConsentConfig
from consent.desk import Desk
from consent.franceconnect import FranceConnect
from consent.outbound import origin
from consent.pages.cards import Wording
from consent.pages.texts import LANGUAGES, known, preferred, say
from consent.ports import Accesses, Catalogue, Registry
from consent.session import FormGuard, Login, Seal, Session, Sessions
from openapi.problem import AccordError, Fact, Language, problem

CALLBACK = "/franceconnect/retour"
SHEET = "accord.css"
SCRIPT = "verify.js"
ICON = "accord.svg"
STATIC: Mapping[str, str] = {
    SHEET: "text/css; charset=utf-8",
    SCRIPT: "text/javascript; charset=utf-8",
    ICON: "image/svg+xml",
}
"""The files served beside the pages, with their media types."""


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
    static: Mapping[str, bytes] = field(default_factory=lambda: {name: _static(name) for name in STATIC})
    templates: Environment = field(
        default_factory=lambda: Environment(
            loader=PackageLoader("consent.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    )

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
        """The language asked for now, else the one kept, else the browser's."""
        return preferred(
            request.query_params.get("lang"),
            request.cookies.get(self.language_cookie),
            accept=request.headers.get("accept-language", ""),
        )

    @property
    def language_cookie(self) -> str:
        """The cookie that keeps the language chosen; it says nothing else."""
        return self.sessions.session_cookie.replace("session", "lang")

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
        language, session = self.language(request), self.session(request)
        page = self.templates.get_template(template).render(
            {
                "language": language,
                "other": next(each for each in LANGUAGES if each != language),
                "other_url": self._other_url(request, language),
                "say": partial(say, language),
                "session": session,
                "logout_token": self.guard.token(session, "logout") if session else "",
                "path": request.url.path,
                "sheet": self._static_url(SHEET),
                "script": self._static_url(script) if script else None,
                **(content or {}),
            }
        )
        response = HTMLResponse(page, status, headers=self._headers(form_targets, scripted=script is not None))
        response.headers["Content-Language"] = language
        if request.query_params.get("lang") in LANGUAGES:
            self._keep_language(response, language)
        return response

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

    def _other_url(self, request: Request, language: Language) -> str | None:
        """This page in the other language; the answer to a form or a login has no address to come back to."""
        if request.method != "GET" or request.url.path == CALLBACK:
            return None
        other = next(each for each in LANGUAGES if each != language)
        return path_of(request, lang=other)

    def _keep_language(self, response: Response, language: Language) -> None:
        response.set_cookie(
            self.language_cookie,
            language,
            path="/",
            secure=self.config.issuer.startswith("https:"),
            httponly=True,
            samesite="lax",
        )

    def _static_url(self, name: str) -> str:
        return static_url(name, self.static[name])

    def _headers(self, form_targets: tuple[str, ...], *, scripted: bool) -> dict[str, str]:
        # A browser holds a form to form-action through the redirects that follow it: the logout ends at
        # FranceConnect, an answer at the application.
        targets = dict.fromkeys(origin(url) for url in (self.config.franceconnect.issuer, *form_targets))
        scripts = "script-src 'self'; " if scripted else ""
        policy = (
            f"default-src 'none'; {scripts}style-src 'self'; img-src 'self'; "
            f"form-action 'self' {' '.join(targets)}; frame-ancestors 'none'; base-uri 'none'"
        )
        return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def redirect(url: str) -> Response:
    """To another page, by GET."""
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def path_of(request: Request, **changes: str) -> str:
    """The path and query of the request, with query parameters changed."""
    url = request.url.include_query_params(**changes)
    return f"{url.path}?{url.query}" if url.query else url.path


def static_url(name: str, content: bytes | None = None) -> str:
    """A file's address, which changes with its content, so that browsers may keep it."""
    content = _static(name) if content is None else content
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _static(name: str) -> bytes:
    return resources.files("consent.pages").joinpath("static", name).read_bytes()
