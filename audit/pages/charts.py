"""Charts drawn by the server as SVG: a timeline of days, bars by organisation, each with its table. Pure.

The pages' Content-Security-Policy lets no script and no inline style in: shapes have classes, the stylesheet has the
colours, and hatching tells what colour tells. Sizes are in units of a drawing 320 wide, which the page scales. Labels
are hostile: all text is escaped, cut to its room and freed from what XML 1.0 cannot write (section 2.2).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Literal, TypeAlias
from unicodedata import east_asian_width

from markupsafe import Markup

from audit.patterns import grouped
from openapi.problem import Language

MAX_BARS = 124
"""Bars of a timeline: four months of days, two years of weeks, ten years of months; beyond, years."""
MAX_COUNT = 2**63 - 1
WIDTH = 320

_LINE, _FONT, _PLOT, _BAR, _ROW, _WIDEST_BAR = 16, 12, 140, 12, 36, 32.0
_CHARACTER = 6.5
"""Room for a figure or a small letter of 12 units, in most fonts."""
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Grain: TypeAlias = Literal["day", "week", "month", "year"]

_LAYERS = ("ok", "refused", "failed")
_CALENDAR: Mapping[Grain, tuple[Callable[[date], int], Callable[[int], date], tuple[int, ...]]] = {
    "day": (date.toordinal, date.fromordinal, (1, 2, 7, 14, 28)),
    # The first day of the calendar is a Monday, as the first of an ISO 8601 week.
    "week": (lambda day: (day.toordinal() - 1) // 7, lambda n: date.fromordinal(n * 7 + 1), (1, 2, 4, 13, 26)),
    "month": (lambda day: day.year * 12 + day.month - 1, lambda n: date(n // 12, n % 12 + 1, 1), (1, 2, 3, 6, 12, 24)),
    "year": (lambda day: day.year, lambda n: date(n, 1, 1), (1, 2, 5, 10, 20)),
}
"""The number of the period that a day lies in, the first day of a period, how many may lie between two dates shown."""

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "ok": {"fr": "Accès", "en": "Accesses"},
    "refused": {"fr": "Refus", "en": "Refusals"},
    "failed": {"fr": "Échecs", "en": "Failures"},
    "total": {"fr": "Total", "en": "Total"},
    "each_day": {"fr": "par jour", "en": "a day"},
    "each_week": {"fr": "par semaine", "en": "a week"},
    "each_month": {"fr": "par mois", "en": "a month"},
    "each_year": {"fr": "par an", "en": "a year"},
    "day": {"fr": "Jour", "en": "Day"},
    "week": {"fr": "Semaine", "en": "Week"},
    "month": {"fr": "Mois", "en": "Month"},
    "year": {"fr": "Année", "en": "Year"},
    "note": {"fr": "Une barre {each}, du {first} au {last}", "en": "One bar {each}, from {first} to {last}"},
    "organisation": {"fr": "Organisme", "en": "Organisation"},
    "others": {"fr": "{count} autres", "en": "{count} others"},
    "other": {"fr": "1 autre", "en": "1 other"},
    "empty": {"fr": "Rien à montrer pour cette période.", "en": "Nothing to show for this period."},
    "billion": {"fr": "\xa0Md", "en": "\xa0bn"},
    "figure": {"fr": "{label}\xa0: {figure}", "en": "{label}: {figure}"},
}


@dataclass(frozen=True, slots=True)
class DayCount:
    """One day's entries. A count outside of 0 to 2^63 - 1 is a :class:`ValueError`."""

    day: date
    accesses: int = 0
    refusals: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        _check(*self.counts)

    @property
    def counts(self) -> tuple[int, int, int]:
        """In the order of the layers, from the ground up."""
        return self.accesses, self.refusals, self.failures


@dataclass(frozen=True, slots=True)
class Bar:
    """One organisation's count. A count outside of 0 to 2^63 - 1 is a :class:`ValueError`."""

    label: str
    count: int

    def __post_init__(self) -> None:
        _check(self.count)


@dataclass(frozen=True, slots=True)
class Series:
    """One layer of a timeline: its name in the stylesheet (``chart-<name>``), its words, a count for each period."""

    name: str
    label: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the same data as a table, to be shown together.

    ``svg`` is an ``<svg>``, or a sentence where there is nothing to draw. ``header`` and ``rows``: the table's cells,
    as they are read, not escaped yet. ``note``: what a bar stands for and from when until when, or nothing.
    """

    svg: Markup
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Period:
    """Days, from ``first`` to ``last``, that share one bar of a timeline."""

    grain: Grain
    number: int
    first: date
    last: date

    @property
    def label(self) -> str:
        """As the axis has it: ISO 8601, as short as the grain allows."""
        return self.first.isoformat()[: {"month": 7, "year": 4}.get(self.grain, 10)]

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"{self.label} \u2013 {self.last.isoformat()}" if self.grain == "week" else self.label


def timeline(
    points: Sequence[DayCount], *, title: str, description: str, unit: str, language: Language = "fr"
) -> Chart:
    """Accesses, refusals and failures over time, stacked; days in any order, those absent count nothing.

    More days than :data:`MAX_BARS` are added up by week, month or year, which ``note`` says; more years are a
    :class:`ValueError`. ``unit``: a plural noun. Ids come from the content: show no chart twice on one page.
    """
    periods = _periods(points)
    series = _series(points, periods, language)
    totals = [sum(counts) for counts in zip(*(one.counts for one in series), strict=True)]
    grain = periods[0].grain if periods else "day"
    header = (_say(grain, language), *(one.label for one in series), _say("total", language))
    rows = tuple(
        (period.name, *(grouped(one.counts[at], language) for one in series), grouped(totals[at], language))
        for at, period in enumerate(periods)
    )
    if not any(totals):
        return Chart(_tag("p", _say("empty", language), class_="chart-empty"), header, rows)
    each = _say(f"each_{grain}", language)
    note = _say("note", language, each=each, first=periods[0].first, last=periods[-1].last)
    drawing = _Drawing(title, description, language, seed=(unit, note, *rows))
    return Chart(drawing.timeline(periods, series, totals, unit=f"{unit} {each}"), header, rows, note)


def bars(
    items: Sequence[Bar], *, title: str, description: str, unit: str, limit: int = 20, language: Language = "fr"
) -> Chart:
    """The ``limit`` greatest counts (at least 1) as bars, greatest first; the others are added up in a last one."""
    ordered = sorted(items, key=lambda item: (-item.count, item.label))
    shown = [(_plain(item.label) or "-", item.count) for item in ordered[:limit]]
    if others := ordered[limit:]:
        label = _say("other" if len(others) == 1 else "others", language, count=grouped(len(others), language))
        shown.append((label, sum(item.count for item in others)))
    rows = tuple((label, grouped(count, language)) for label, count in shown)
    header = (_say("organisation", language), _plain(unit))
    if not any(count for _, count in shown):
        return Chart(_tag("p", _say("empty", language), class_="chart-empty"), header, rows)
    return Chart(_Drawing(title, description, language, seed=(unit, *rows)).bars(shown, unit=unit), header, rows)


class _Drawing:
    """One ``<svg>``: its name, its ids, its shapes."""

    def __init__(self, title: str, description: str, language: Language, *, seed: tuple[object, ...]) -> None:
        self._title, self._description, self._language = _plain(title), _plain(description), language
        self._id = f"chart-{sha256(repr((title, description, language, seed)).encode()).hexdigest()[:16]}"

    def bars(self, shown: Sequence[tuple[str, int]], *, unit: str) -> Markup:
        """A line of words above each bar."""
        most = max(count for _, count in shown)
        shapes = [_text(0, _FONT, _fit(_plain(unit), WIDTH), of="caption")]
        for at, (label, count) in enumerate(shown):
            top = _LINE + 8 + at * _ROW
            shapes.append(self._bar(label, count, top=top, length=count / most * WIDTH))
        return self._svg(shapes, _LINE + 8 + len(shown) * _ROW)

    def _bar(self, label: str, count: int, *, top: float, length: float) -> Markup:
        figure = grouped(count, self._language)
        return _tag(
            "g",
            _tag("title", _say("figure", self._language, label=label, figure=figure)),
            _text(0, top + _FONT, _fit(label, WIDTH - _room(figure) - 10)),
            _text(WIDTH, top + _FONT, figure, place="end", of="count"),
            _tag("rect", class_="chart-ok", x=0, y=top + _LINE, width=length, height=_BAR),
        )

    def timeline(
        self, periods: Sequence[_Period], series: Sequence[Series], totals: Sequence[int], *, unit: str
    ) -> Markup:
        """Legend, unit, axes, then a stack for each period."""
        step = _step(max(totals))
        scale = range(0, -(-max(totals) // step) * step + 1, step)
        left = 6 + max(_room(self._short(tick, scale)) for tick in scale)
        legend, below = self._legend(series)
        top = below + 2 * _LINE
        across = _Across(left, (WIDTH - left) / len(periods), top + _PLOT)
        shapes = [*legend, _text(0, below + _FONT, _fit(_plain(unit), WIDTH), of="caption")]
        shapes += self._rules(scale, across)
        for at, period in enumerate(periods):
            counts = [one.counts[at] for one in series]
            figure = grouped(totals[at], self._language)
            words = _say("figure", self._language, label=period.name, figure=figure)
            stack = self._stack(counts, [one.name for one in series], across, at=at, top=scale[-1])
            shapes.append(_tag("g", _tag("title", words), *stack))
        return self._svg([*shapes, *_dates(periods, across)], top + _PLOT + 2 * _LINE - 6)

    def _legend(self, series: Sequence[Series]) -> tuple[list[Markup], int]:
        """What each layer is, with its total; and where the legend ends."""
        shapes, x, y = [], 0.0, 0
        for one in series:
            figure = grouped(sum(one.counts), self._language)
            words = _say("figure", self._language, label=one.label, figure=figure)
            if x and x + 18 + _room(words) > WIDTH:
                x, y = 0.0, y + _LINE
            shapes += [self._filled(one.name, x=x, y=y + 2, width=_FONT, height=_FONT), _text(x + 18, y + _FONT, words)]
            x += 18 + _room(words) + 12
        return shapes, y + _LINE + 4

    def _rules(self, scale: range, across: "_Across") -> Iterator[Markup]:
        for tick in scale:
            y = across.ground - tick / scale[-1] * _PLOT
            yield _tag("line", class_="chart-rule" if tick else "chart-axis", x1=across.left, y1=y, x2=WIDTH, y2=y)
            yield _text(across.left - 6, y + 4, self._short(tick, scale), place="end", of="tick")

    def _stack(
        self, counts: Sequence[int], names: Sequence[str], across: "_Across", *, at: int, top: int
    ) -> Iterator[Markup]:
        y = across.ground
        for name, count in zip(names, counts, strict=True):
            height = count / top * _PLOT
            y -= height
            if count:
                yield self._filled(name, x=across.bar_at(at), y=y, width=across.bar, height=height)

    def _filled(self, name: str, **place: float) -> Markup:
        """A rectangle of a layer. Hatching is a pattern of the drawing's own, which holds the coloured shapes."""
        if name == "ok":
            return _tag("rect", class_="chart-ok", **place)
        return _tag("rect", class_="chart-hatched", fill=f"url(#{self._id}-{name})", **place)

    def _short(self, tick: int, scale: range) -> str:
        """A figure of the axis: with millions or thousand millions as unit where there are some."""
        for size, unit in ((10**9, _say("billion", self._language)), (10**6, "\xa0M")):
            if scale[-1] >= size and tick:
                whole, tenths = divmod(tick * 10 // size, 10)
                return grouped(f"{whole}.{tenths}" if tenths else whole, self._language) + unit
        return grouped(tick, self._language)

    def _svg(self, shapes: Iterable[Markup], height: float) -> Markup:
        names = f"{self._id}-title", f"{self._id}-desc"
        stripes: dict[str, str | float] = {"width": 5, "height": 5, "patternUnits": "userSpaceOnUse"}
        refused = _tag("rect", class_="chart-refused", x=0, y=0, width=3, height=5)
        failed = _tag("rect", class_="chart-failed", x=0, y=0, width=5, height=5)
        dot = _tag("circle", class_="chart-failed-dot", cx=2.5, cy=2.5, r=1, fill="none")
        return _tag(
            "svg",
            _tag("title", self._title, id=names[0]),
            _tag("desc", self._description, id=names[1]),
            _tag(
                "defs",
                _tag("pattern", refused, id=f"{self._id}-refused", patternTransform="rotate(45)", **stripes),
                _tag("pattern", failed, dot, id=f"{self._id}-failed", **stripes),
            ),
            *shapes,
            xmlns="http://www.w3.org/2000/svg",
            class_="chart",
            role="img",
            aria_labelledby=" ".join(names),
            viewBox=f"0 0 {WIDTH} {_at(height)}",
            font_size=_FONT,
        )


@dataclass(frozen=True, slots=True)
class _Across:
    """Where a timeline's bars stand: each in its slot, from ``left`` on, on the ``ground``."""

    left: float
    slot: float
    ground: float

    @property
    def bar(self) -> float:
        return min(self.slot * 0.8, _WIDEST_BAR)

    def middle(self, at: int) -> float:
        return self.left + (at + 0.5) * self.slot

    def bar_at(self, at: int) -> float:
        return self.middle(at) - self.bar / 2


def _dates(periods: Sequence[_Period], across: _Across) -> Iterator[Markup]:
    """As many dates as there is room for; those of months and years at round ones."""
    room = _room(periods[0].label)
    steps = _CALENDAR[periods[0].grain][2]
    step = next((step for step in steps if step * across.slot >= room + 10), steps[-1])
    origin = 0 if periods[0].grain in {"month", "year"} else periods[0].number
    free = 0.0
    for at, period in enumerate(periods):
        x = min(max(across.middle(at), room / 2), WIDTH - room / 2)
        if (period.number - origin) % step or x - room / 2 < free:
            continue
        free = x + room / 2 + 6
        middle = across.middle(at)
        yield _tag("line", class_="chart-axis", x1=middle, y1=across.ground, x2=middle, y2=across.ground + 4)
        yield _text(x, across.ground + _LINE + 2, period.label, place="middle", of="tick")


def _periods(points: Sequence[DayCount]) -> list[_Period]:
    if not points:
        return []
    first, last = min(point.day for point in points), max(point.day for point in points)
    for grain, (number, start, _) in _CALENDAR.items():
        numbers = range(number(first), number(last) + 1)
        if len(numbers) <= MAX_BARS:
            starts = [first, *(start(one) for one in numbers[1:])]
            ends = [*(one - timedelta(days=1) for one in starts[1:]), last]
            return [_Period(grain, *one) for one in zip(numbers, starts, ends, strict=True)]
    raise ValueError(f"a timeline is of at most {MAX_BARS} years")


def _series(points: Sequence[DayCount], periods: Sequence[_Period], language: Language) -> list[Series]:
    sums = [[0, 0, 0] for _ in periods]
    for point in points:
        held = sums[_CALENDAR[periods[0].grain][0](point.day) - periods[0].number]
        for at, count in enumerate(point.counts):
            held[at] += count
    return [Series(name, _say(name, language), tuple(held[at] for held in sums)) for at, name in enumerate(_LAYERS)]


def _step(top: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, ... that reaches ``top`` in four steps."""
    step = 1
    while step * 4 < top:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def _check(*counts: int) -> None:
    if not all(0 <= count <= MAX_COUNT for count in counts):
        raise ValueError(f"a count lies between 0 and {MAX_COUNT}")


def _say(key: str, language: Language, **facts: object) -> str:
    return _WORDS[key][language].format(**facts)


def _text(x: float, y: float, words: str, *, place: str = "start", of: str = "label") -> Markup:
    return _tag("text", words, class_=f"chart-{of}", x=x, y=y, text_anchor=place, fill="currentColor")


def _tag(name: str, *inside: str, **attributes: str | float) -> Markup:
    """An element; ``inside``: text, which is escaped, and elements. ``class_`` is written ``class``, ``_`` as ``-``."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value if isinstance(value, str) else _at(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(inside))


def _at(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _plain(text: str) -> str:
    """Without what XML cannot write, on one line."""
    return " ".join(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text).split())


def _room(text: str) -> float:
    wide = sum(one.isupper() or one in "mw%@…" for one in text) / 2
    return (len(text) + wide + sum(east_asian_width(one) in "WF" for one in text)) * _CHARACTER


def _fit(text: str, room: float) -> str:
    """As much of a text as there is room for."""
    cut = text[: max(0, int(room / _CHARACTER))]
    while cut and _room(cut if cut == text else f"{cut}…") > room:
        cut = cut[:-1]
    return cut if cut == text else f"{cut}…"
