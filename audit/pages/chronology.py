"""How many, when and whose: a timeline and bars by organisation, each with its table, each figure with its search."""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from audit.auditors import Auditor
from audit.blocks import BLOCK
from audit.counting import LOOKED_AT, MAX_BLOCKS, Counts
from audit.filters import Filter
from audit.pages.charts import MAX_BARS, Bar, Chart, DayCount, bars, timeline
from audit.pages.dates import days_ago, edge, today
from audit.pages.form import Asked, address, make_form
from audit.pages.site import Site
from audit.pages.texts import say
from audit.pages.wording import SEARCH, Wording, spaced
from audit.patterns import grouped
from openapi.problem import Language

PATH = f"{SEARCH}/chronologie"
DAYS = 30
"""Days, today among them, that are looked at where the address names no period."""
MOST_ORGANISATIONS = 500
"""Organisations with a row of their own; the others have one together."""
_MONTH_LENGTH, _YEAR_LENGTH = len("2026-10"), len("2026")


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and the search for the entries that it counts."""

    figure: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """A row of a table of counts. ``note``: what tells it from a row of the same name."""

    name: str
    cells: tuple[Cell, ...]
    note: str = ""
    link: str = ""


def add_chronology(router: APIRouter, site: Site) -> None:
    """Add the page of counts."""

    @router.get(PATH)
    def chronology(request: Request) -> Response:
        reader = site.reader(request)
        asked = in_the_last_days(site.ask(request, reader, counted=True), site.clock())
        wording = site.wording(request, reader)
        form = make_form(
            asked,
            action=PATH,
            reader=reader,
            wording=wording,
            counted=True,
            now=site.clock(),
        )
        counts = None if asked.filter is None else site.room.count(reader, asked.filter)
        shown = {} if counts is None or asked.filter is None else _shown(site, reader, asked.filter, counts, wording)
        content = {"form": form, "counted": counts is not None, **shown}
        return site.show(request, "chronology.html", status=400 if asked.mistakes else 200, content=content)


def in_the_last_days(asked: Asked, now: float) -> Asked:
    """The filter with a period: the last days where none is named."""
    if asked.filter is None or asked.filter.since or asked.filter.until:
        return asked
    since = days_ago(now, DAYS - 1)
    return Asked({**asked.given, "since": since}, replace(asked.filter, since=since), {})


def period_of(asked: Filter, language: Language) -> str:
    """The period of a filter in words."""
    if asked.since and asked.until:
        return say(language, "period.between", since=edge(asked.since, language), until=edge(asked.until, language))
    if asked.since:
        return say(language, "period.since", since=edge(asked.since, language))
    return say(language, "period.until", until=edge(asked.until, language))


def _shown(site: Site, reader: Auditor, asked: Filter, counts: Counts, wording: Wording) -> dict[str, object]:
    language = wording.language
    period = period_of(asked, language)
    limit = grouped(MAX_BLOCKS * BLOCK, language)
    chart = _timeline(asked, counts, language, now=site.clock())
    organisations = sorted(counts.organisations.items(), key=lambda one: (-one[1], one[0]))
    return {
        "period": period,
        "left_out": say(language, "chronology.left_out", limit=limit) if counts.left_out else "",
        "totals": _totals(asked, counts, language),
        "days": chart,
        "day_rows": [_row(row, chart, asked, place) for place, row in enumerate(chart.rows)],
        "organisations": _bars(organisations, wording),
        "organisation_rows": [
            *(_organisation(one, count, asked, wording) for one, count in organisations[:MOST_ORGANISATIONS]),
            *_remaining(organisations[MOST_ORGANISATIONS:], counts.nameless, language),
        ],
        "search": address(SEARCH, asked.given),
        "unusual": address(f"{SEARCH}/particularites", asked.given),
        "alone": reader.organisation is not None,
    }


def _timeline(asked: Filter, counts: Counts, language: Language, *, now: float) -> Chart:
    points = [DayCount(day, *(kinds[kind] for kind in LOOKED_AT)) for day, kinds in sorted(counts.days.items())]
    if points:
        points += [DayCount(day) for day in _edges(asked, [point.day for point in points], now)]
    words = {name: say(language, f"chronology.{name}") for name in ("days_title", "days_description", "unit")}
    return timeline(
        points, title=words["days_title"], description=words["days_description"], unit=words["unit"], language=language
    )


def _edges(asked: Filter, days: Sequence[date], now: float) -> list[date]:
    """First and last day of a period short enough to be drawn day by day: days without entries are days too."""
    first = date.fromisoformat(asked.since[:10]) if asked.since else days[0]
    last = date.fromisoformat(asked.until[:10]) if asked.until else today(now)
    last = max(min(last, today(now)), days[-1])
    return [first, last] if 0 <= (last - first).days < MAX_BARS else []


def _bars(organisations: Sequence[tuple[str, int]], wording: Wording) -> Chart:
    language = wording.language
    return bars(
        [Bar(wording.organisation(siret), count) for siret, count in organisations],
        title=say(language, "chronology.organisations_title"),
        description=say(language, "chronology.organisations_description"),
        unit=say(language, "chronology.unit"),
        language=language,
    )


def _totals(asked: Filter, counts: Counts, language: Language) -> list[Figures]:
    """All together, by kind."""
    found = []
    for kind in LOOKED_AT:
        count = sum(kinds[kind] for kinds in counts.days.values())
        link = address(SEARCH, {**asked.given, "kind": kind}) if count else ""
        found.append(Figures(say(language, f"chronology.{kind}"), (Cell(grouped(count, language), link),), kind))
    return found


def _row(row: Sequence[str], chart: Chart, asked: Filter, place: int) -> Figures:
    """A period of the timeline. Its first and last are cut where the filter's period is."""
    first, last = _days_of(row[0])
    period: dict[str, str] = {"since": first.isoformat(), "until": last.isoformat()}
    if place == 0 and asked.since:
        period["since"] = asked.since
    if place == len(chart.rows) - 1:
        period = _last(period, asked)
    return Figures(row[0], (*_cells(row[1:-1], asked, period), Cell(row[-1])))


def _last(period: Mapping[str, str], asked: Filter) -> dict[str, str]:
    return {**period, "until": asked.until} if asked.until else {**period, "until": ""}


def _cells(figures: Sequence[str], asked: Filter, period: Mapping[str, str]) -> tuple[Cell, ...]:
    given = {name: value for name, value in {**asked.given, **period}.items() if value}
    return tuple(
        Cell(figure, address(SEARCH, {**given, "kind": kind}) if figure != "0" else "")
        for figure, kind in zip(figures, LOOKED_AT, strict=True)
    )


def _days_of(name: str) -> tuple[date, date]:
    """First and last day of a period as a timeline's table names it: a day, a week, a month or a year."""
    first, _, last = name.partition(" \u2013 ")
    if last:
        return date.fromisoformat(first), date.fromisoformat(last)
    if len(first) == _YEAR_LENGTH:
        return date(int(first), 1, 1), date(int(first), 12, 31)
    if len(first) == _MONTH_LENGTH:
        year, month = int(first[:4]), int(first[5:])
        return date(year, month, 1), date(year, month, monthrange(year, month)[1])
    return date.fromisoformat(first), date.fromisoformat(first)


def _organisation(siret: str, count: int, asked: Filter, wording: Wording) -> Figures:
    given = {**asked.given, "organisation": siret}
    cell = Cell(grouped(count, wording.language), address(SEARCH, given))
    return Figures(wording.organisation(siret), (cell,), spaced(siret), address(PATH, given))


def _remaining(others: Sequence[tuple[str, int]], nameless: int, language: Language) -> Iterator[Figures]:
    """What the rows above leave out of all that was counted, so that the table adds up to it."""
    if others:
        name = say(language, "chronology.others", count=grouped(len(others), language))
        yield Figures(name, (Cell(grouped(sum(count for _, count in others), language)),))
    if nameless:
        yield Figures(say(language, "chronology.nameless"), (Cell(grouped(nameless, language)),))
