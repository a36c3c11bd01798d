"""The search: a form whose address is the search, and the newest entries that it finds."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from audit.auditors import Auditor
from audit.exports.columns import Format
from audit.filters import SEALED, Filter
from audit.pages.form import Asked, address, make_form
from audit.pages.site import PERSON, Site
from audit.pages.texts import say
from audit.pages.wording import SEARCH, Wording
from audit.patterns import grouped
from audit.query import Accesses
from openapi.pages.routing import redirect
from openapi.problem import AccordError

PAGE = 50
"""Entries on one page."""
LAST_INDEX = 2**63 - 1
FORMATS: Mapping[Format, str] = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}

_NOTHING = Accesses((), None)


def add_search(router: APIRouter, site: Site) -> None:
    """Add the search, the readings of auditors and the form for one person."""

    @router.get(SEARCH)
    def search(request: Request, before: Annotated[int | None, Query(ge=0, le=LAST_INDEX)] = None) -> Response:
        reader = site.reader(request)
        asked = site.ask(request, reader)
        found = _NOTHING if asked.filter is None else site.room.search(reader, asked.filter, before=before, limit=PAGE)
        return _page(site, request, reader, asked, found=found, before=before)

    @router.get(f"{SEARCH}/lectures")
    def readings(request: Request) -> Response:
        site.reader(request)
        return redirect(address(SEARCH, {"kind": "audit.query"}))

    @router.get(PERSON)
    def person(request: Request) -> Response:
        """Nothing is searched yet: whoever was led here by a link has stated no ground, or has to confirm it."""
        reader = site.reader(request)
        if not reader.sees_details:
            raise AccordError("auditor_not_allowed")
        asked = site.ask(request, reader, stating=True)
        return _page(site, request, reader, _without_ground(asked), found=_NOTHING, stated=False)


def _without_ground(asked: Asked) -> Asked:
    mistakes = {name: found for name, found in asked.mistakes.items() if not found.endswith("_missing")}
    return Asked(asked.given, None, mistakes)


def _page(
    site: Site,
    request: Request,
    reader: Auditor,
    asked: Asked,
    *,
    found: Accesses,
    before: int | None = None,
    stated: bool = True,
) -> Response:
    wording = site.wording(request, reader)
    form = make_form(
        asked,
        action=SEARCH,
        reader=reader,
        wording=wording,
        seen=found.records,
        now=site.clock(),
    )
    content = {
        "form": form,
        "searched": asked.filter is not None,
        "stated": stated,
        "rows": [wording.row(record) for record in found.records],
        "about_person": any(name in asked.given for name in SEALED),
        **_results(site, asked.filter or Filter(), found, before=before, wording=wording),
    }
    return site.show(request, "search.html", status=400 if asked.mistakes else 200, content=content)


def _results(site: Site, asked: Filter, found: Accesses, *, before: int | None, wording: Wording) -> dict[str, object]:
    given = asked.given
    countable = {} if asked.is_personal or asked.request_id else given
    return {
        "range": _range(found, wording),
        "empty": say(wording.language, _empty(found, asked, before=before)),
        "older": None if found.older is None else address(SEARCH, given, before=found.older),
        "newest": None if before is None else address(SEARCH, given),
        "saved": site.issuer + address(SEARCH, given),
        "chronology": address(f"{SEARCH}/chronologie", countable),
        "unusual": address(f"{SEARCH}/particularites", given),
        "exports": [(words, address(f"{SEARCH}/export", given, format=one)) for one, words in FORMATS.items()],
    }


def _range(found: Accesses, wording: Wording) -> str:
    if not found.records:
        return ""
    count, first, last = len(found.records), found.records[-1].index, found.records[0].index
    numbers = {name: grouped(value, wording.language) for name, value in {"first": first, "last": last}.items()}
    return say(wording.language, "search.range_one" if count == 1 else "search.range", count=count, **numbers)


def _empty(found: Accesses, asked: Filter, *, before: int | None) -> str:
    """The sentence in the place of entries, when there are none to show."""
    if found.older is not None:
        return "search.none_yet"
    if before is not None:
        return "search.none_older"
    return "search.none_found" if asked.given else "search.none"
