"""Unusual patterns, shown and not judged: each in one sentence, with the search for its entries."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response

from audit.filters import Filter
from audit.pages.chronology import in_the_last_days, period_of
from audit.pages.form import address, make_form
from audit.pages.site import Site
from audit.pages.texts import say
from audit.pages.wording import SEARCH, Wording
from audit.patterns import (
    BURST_FACTOR,
    DAY_ENDS,
    DAY_STARTS,
    HOUR,
    MIN_APPLICATIONS,
    MIN_BURST,
    MIN_OFF_HOURS,
    MIN_RECIPIENTS,
    MIN_REFUSALS,
    OFF_HOURS_SHARE,
    REFUSALS_SHARE,
    WINDOW,
    Pattern,
    PatternKind,
    grouped,
    sentence,
    what_was_left_out,
)
from audit.reading import MAX_OBSERVATIONS, Patterns

PATH = f"{SEARCH}/particularites"

_THRESHOLDS = {
    "requests": MIN_BURST,
    "factor": BURST_FACTOR,
    "starts": DAY_STARTS,
    "ends": DAY_ENDS,
    "off_hours": MIN_OFF_HOURS,
    "off_share": 100 // OFF_HOURS_SHARE,
    "refusals": MIN_REFUSALS,
    "refused_share": 100 // REFUSALS_SHARE,
    "applications": MIN_APPLICATIONS,
    "organisations": MIN_RECIPIENTS,
    "days": WINDOW // (24 * HOUR),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One pattern on the page. ``person``: whether its subject is a citizen's pseudonym, and its link a form."""

    subject: str
    person: bool
    sentence: str
    numbers: str
    link: str


@dataclass(frozen=True, slots=True)
class Section:
    """The patterns of one kind, and from what figures on something is shown."""

    name: str
    title: str
    rule: str
    findings: tuple[Finding, ...]


def add_unusual(router: APIRouter, site: Site) -> None:
    """Add the page of patterns."""

    @router.get(PATH)
    def unusual(request: Request) -> Response:
        reader = site.reader(request)
        asked = in_the_last_days(site.ask(request, reader), site.clock())
        wording = site.wording(request, reader)
        form = make_form(
            asked,
            action=PATH,
            reader=reader,
            wording=wording,
            now=site.clock(),
        )
        found = None if asked.filter is None else site.room.patterns(reader, asked.filter)
        shown = {} if found is None or asked.filter is None else _shown(asked.filter, found, wording)
        content = {"form": form, "looked": found is not None, "opened": reader.sees_details, **shown}
        return site.show(request, "unusual.html", status=400 if asked.mistakes else 200, content=content)


def _shown(asked: Filter, patterns: Patterns, wording: Wording) -> dict[str, object]:
    language, found = wording.language, patterns.found
    left_out = list(what_was_left_out(found, language))
    if patterns.left_out:
        left_out.insert(0, say(language, "unusual.left_out", limit=grouped(MAX_OBSERVATIONS, language)))
    return {
        "period": period_of(asked, language),
        "observations": say(language, "unusual.observations", count=grouped(found.observations, language)),
        "left_out": left_out,
        "sections": [_section(kind, found.patterns, asked, wording) for kind in get_args(PatternKind)],
        "search": address(SEARCH, asked.given),
    }


def _section(kind: PatternKind, patterns: Iterable[Pattern], asked: Filter, wording: Wording) -> Section:
    return Section(
        kind,
        say(wording.language, f"unusual.{kind}"),
        say(wording.language, f"unusual.{kind}_rule", **_THRESHOLDS),
        tuple(_finding(one, asked, wording) for one in patterns if one.kind == kind),
    )


def _finding(pattern: Pattern, asked: Filter, wording: Wording) -> Finding:
    numbers = {
        name: grouped(value, wording.language)
        for name, value in {"first": pattern.first_index, "last": pattern.last_index}.items()
    }
    person = "citizen" in pattern.query
    return Finding(
        subject=pattern.subject,
        person=person,
        sentence=sentence(pattern, wording.language),
        numbers=say(wording.language, "unusual.numbers", **numbers),
        link=address(f"{SEARCH}/personne" if person else SEARCH, _query(pattern, asked)),
    )


def _query(pattern: Pattern, asked: Filter) -> dict[str, str]:
    """The search for its entries, within what was asked for."""
    found = {"application" if name == "client" else name: value for name, value in pattern.query.items()}
    kinds = {"refusals": "refusal", "off_hours": "access"}
    kind = {"kind": kinds[pattern.kind]} if pattern.kind in kinds else {}
    return {**asked.given, **kind, **found}
