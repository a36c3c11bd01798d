"""The frame of every page: its layout, its two languages, and the headers that browsers obey."""

from collections.abc import Iterable, Mapping
from functools import partial

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from openapi.pages.language import LANGUAGES, other, preferred
from openapi.pages.routing import NO_STORE, path_of
from openapi.pages.texts import Texts
from openapi.problem import Language


class Frame:
    """Shows the pages of ``package``, whose templates extend ``layout.html``.

    ``common``: what every page is told (``layout.html`` wants ``icon``, ``sheets`` and ``script``).
    ``secure``: whether the deployment is served over https. ``nowhere``: paths that nobody can come back to.
    """

    def __init__(
        self,
        package: str,
        texts: Texts,
        *,
        language_cookie: str,
        secure: bool,
        common: Mapping[str, object],
        nowhere: Iterable[str] = (),
    ) -> None:
        self._templates = environment(package)
        self._texts = texts
        self._cookie = language_cookie
        self._secure = secure
        self._common = common
        self._nowhere = frozenset(nowhere)

    def language(self, request: Request) -> Language:
        """The language asked for now, else the one kept, else the browser's."""
        return preferred(
            request.query_params.get("lang"),
            request.cookies.get(self._cookie),
            accept=request.headers.get("accept-language", ""),
        )

    def show(
        self, request: Request, template: str, *, status: int, policy: str, content: Mapping[str, object]
    ) -> Response:
        """A page. ``policy``: its Content-Security-Policy, made by :func:`policy`."""
        language = self.language(request)
        page = self._templates.get_template(template).render(
            {
                "language": language,
                "other": other(language),
                "other_url": self._other_url(request, language),
                "say": partial(self._texts.say, language),
                "path": request.url.path,
                **self._common,
                **content,
            }
        )
        response = HTMLResponse(page, status, headers={"Content-Security-Policy": policy, **NO_STORE})
        response.headers["Content-Language"] = language
        if request.query_params.get("lang") in LANGUAGES:
            self._keep_language(response, language)
        return response

    def _other_url(self, request: Request, language: Language) -> str | None:
        """This page in the other language; the answer to a form or a login has no address to come back to."""
        if request.method != "GET" or request.url.path in self._nowhere:
            return None
        return path_of(request, lang=other(language))

    def _keep_language(self, response: Response, language: Language) -> None:
        """A cookie that keeps the language chosen; it says nothing else."""
        response.set_cookie(self._cookie, language, path="/", secure=self._secure, httponly=True, samesite="lax")


def environment(package: str) -> Environment:
    """The templates of ``package``, with the layout beneath. An unknown name is an error rather than a gap."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("openapi.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy(form_targets: Iterable[str] = (), *, scripted: bool = False) -> str:
    """The Content-Security-Policy of a page: nothing from anybody else, and no script unless ``scripted``.

    ``form_targets``: origins that its forms may end at. A browser holds a form to form-action through the redirects
    that follow it: a logout ends at the identity provider, a citizen's answer at the application.
    """
    scripts = "script-src 'self'; " if scripted else ""
    targets = " ".join(("'self'", *dict.fromkeys(form_targets)))
    return (
        f"default-src 'none'; {scripts}style-src 'self'; img-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
