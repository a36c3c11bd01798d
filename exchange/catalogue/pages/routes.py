"""The catalogue's pages: for anybody, without a login and without scripts. A page's troubles are pages too."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias, get_args

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from exchange.catalogue.description import PAGE_PATH, BundleView, describe
from exchange.catalogue.pages.search import LONGEST, Entry, SubjectFilter, words_of
from exchange.catalogue.pages.texts import TEXTS, say
from exchange.catalogue.pages.words import BundleWords, bundle_of, card_of, counted, page_of
from openapi.pages.files import Files
from openapi.pages.frame import Frame, policy
from openapi.pages.routing import page_route
from openapi.problem import AccordError, Language, problem
from providers.model import Manifest

SHEET = "catalogue.css"
FILES = Files("exchange.catalogue.pages", f"{PAGE_PATH}/static", {SHEET: "text/css; charset=utf-8"})
"""The files served beside the pages."""

_REFUSALS = (AccordError, RequestValidationError)
_Words: TypeAlias = Annotated[str, Query(max_length=LONGEST)]
_Dataset: TypeAlias = Annotated[str, Path(max_length=64)]


class Pages:
    """The pages and what they are made of. ``sheet`` and ``icon``: addresses of the deployment's own."""

    def __init__(
        self,
        manifests: Mapping[str, Manifest],
        together: Sequence[BundleView],
        *,
        base: str,
        sheet: str,
        icon: str,
    ) -> None:
        self._manifests = manifests
        self._together = together
        self._base = base
        self._entries = {name: Entry(describe(one, base=base)) for name, one in manifests.items()}
        secure = base.startswith("https:")
        self._frame = Frame(
            "exchange.catalogue.pages",
            TEXTS,
            language_cookie="__Host-accord-lang" if secure else "accord-lang",
            secure=secure,
            common={"icon": icon, "sheets": (sheet, FILES.url(SHEET)), "script": None},
        )

    def found(self, request: Request, text: str, subject: SubjectFilter) -> Response:
        """The list, or the part of it that has the words."""
        language, words = self._frame.language(request), words_of(text)
        cards = [
            card_of(one.view, language, matching=one.matching(words, language))
            for one in sorted(self._entries.values(), key=lambda one: words_of(one.view.title[language]))
            if one.has(words, subject)
        ]
        content = {
            "words": text,
            "longest": LONGEST,
            "subject": subject,
            "subjects": [(code, say(language, f"subject.{code}")) for code in get_args(SubjectFilter)],
            "is_filtered": bool(words) or subject != "all",
            "found": cards,
            "bundles": [] if words or subject == "citizen" else self._bundles(language),
            "count": counted(language, "list.found", len(cards)) if cards else say(language, "list.found_none"),
        }
        return self._show(request, "list.html", content)

    def _bundles(self, language: Language) -> list[BundleWords]:
        titles = {name: one.view.title[language] for name, one in self._entries.items()}
        return [bundle_of(one, titles, language) for one in self._together]

    def dataset(self, request: Request, name: str) -> Response:
        """One dataset. Raises ``AccordError('dataset_unknown')``."""
        if name not in self._entries:
            raise AccordError("dataset_unknown")
        language = self._frame.language(request)
        page = page_of(self._entries[name].view, self._manifests[name], language, base=self._base)
        return self._show(request, "dataset.html", {"one": page})

    def refused(self, request: Request, refusal: Exception) -> Response:
        """A refusal as a page."""
        slug = refusal.slug if isinstance(refusal, AccordError) else "request_malformed"
        row, language = problem(slug), self._frame.language(request)
        return self._show(request, "problem.html", _trouble(slug, language), status=row.status)

    def _show(self, request: Request, template: str, content: Mapping[str, object], *, status: int = 200) -> Response:
        return self._frame.show(request, template, status=status, policy=policy(), content=content)


def router(
    manifests: Mapping[str, Manifest], together: Sequence[BundleView], *, base: str, sheet: str, icon: str
) -> APIRouter:
    """Every page under ``/catalogue``. ``base``: the deployment's URL."""
    pages = Pages(manifests, together, base=base, sheet=sheet, icon=icon)
    routes = APIRouter(route_class=page_route(_REFUSALS, pages.refused), include_in_schema=False)

    @routes.get(PAGE_PATH)
    def found(request: Request, q: _Words = "", sujet: SubjectFilter = "all") -> Response:
        return pages.found(request, q, sujet)

    @routes.get(f"{PAGE_PATH}/{{dataset}}")
    def dataset(request: Request, dataset: _Dataset) -> Response:
        return pages.dataset(request, dataset)

    FILES.add_to(routes)
    return routes


def _trouble(slug: str, language: Language) -> dict[str, object]:
    """A problem in the pages' own words where they have some."""
    if TEXTS.known("problem", slug):
        return {"title": say(language, f"problem.{slug}"), "detail": say(language, f"problem.{slug}_detail")}
    row = problem(slug)
    return {"title": row.title[language], "detail": row.detail[language]}
