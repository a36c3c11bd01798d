"""Charts: well-formed whatever the labels, inside their frame, in proportion, and never more than their table says."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from math import isclose
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.pages.charts import MAX_BARS, MAX_COUNT, WIDTH, Bar, Chart, DayCount, bars, timeline

SVG = "{http://www.w3.org/2000/svg}"
JANUARY = date(2026, 1, 1)
ROUNDING = 0.02

LABELS = st.text() | st.sampled_from(
    [
        "</text><script>alert(1)</script>",
        '" onload="alert(1)',
        "]]>&#0;<!--",
        "\x00\x0b\ud800\uffff",
        "\u202eedoc",
        "%s {0} {count}",
        "學校" * 60,
    ]
)
COUNTS = st.integers(0, 50) | st.integers(0, MAX_COUNT)
BARS = st.lists(st.builds(Bar, LABELS, COUNTS), max_size=40)
DAYS = st.lists(
    st.builds(DayCount, st.dates(date(1990, 1, 1), date(2100, 12, 31)), COUNTS, COUNTS, COUNTS), min_size=1, max_size=30
)


def days(count: int, **counts: int) -> list[DayCount]:
    return [DayCount(JANUARY + timedelta(days=number), **counts) for number in range(count)]


def drawn(points: Sequence[DayCount], *, language: str = "fr", title: str = "Accès") -> Chart:
    return timeline(points, title=title, description="Par jour", unit="demandes", language=language)  # type: ignore[arg-type]  # "fr" or "en"


def barred(items: Sequence[Bar], *, limit: int = 20, language: str = "fr") -> Chart:
    return bars(items, title="Organismes", description="Par organisme", unit="demandes", limit=limit, language=language)  # type: ignore[arg-type]  # "fr" or "en"


def tree(chart: Chart) -> ET.Element:
    return ET.fromstring(str(chart.svg))  # noqa: S314  # our own output; a well-formedness error is the point


def texts(chart: Chart, of: str) -> list[str]:
    return [one.text or "" for one in tree(chart).iter(f"{SVG}text") if one.get("class") == f"chart-{of}"]


def layers(chart: Chart) -> list[list[ET.Element]]:
    """The rectangles of each bar."""
    return [list(group.iter(f"{SVG}rect")) for group in tree(chart).iter(f"{SVG}g")]


def number(text: str) -> int:
    return int(re.sub("[\u202f,]", "", text))


def corners(root: ET.Element) -> Iterator[tuple[float, float]]:
    for one in root.iter():
        if one.tag == f"{SVG}rect":
            x, y = float(one.get("x", 0)), float(one.get("y", 0))
            yield from ((x, y), (x + float(one.get("width", 0)), y + float(one.get("height", 0))))
        elif one.tag == f"{SVG}line":
            yield from ((float(one.get(f"x{end}", 0)), float(one.get(f"y{end}", 0))) for end in (1, 2))
        elif one.tag == f"{SVG}text":
            yield float(one.get("x", 0)), float(one.get("y", 0))


def inside(chart: Chart) -> bool:
    if str(chart.svg).startswith("<p"):
        return True
    root = tree(chart)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return all(-ROUNDING <= x <= width + ROUNDING and -ROUNDING <= y <= height + ROUNDING for x, y in corners(root))


@settings(deadline=None)
@given(BARS, LABELS, LABELS, LABELS, st.integers(1, 30), st.sampled_from(["fr", "en"]))
def test_bars_are_well_formed_inside_their_frame_and_without_style_or_script(
    items: list[Bar], title: str, description: str, unit: str, limit: int, language: str
) -> None:
    chart = bars(items, title=title, description=description, unit=unit, limit=limit, language=language)  # type: ignore[arg-type]  # "fr" or "en"
    assert inside(chart)
    assert harmless(chart)
    "".join(cell for row in (chart.header, *chart.rows) for cell in row).encode()


@settings(deadline=None)
@given(DAYS, LABELS, LABELS, LABELS, st.sampled_from(["fr", "en"]))
def test_a_timeline_is_well_formed_inside_its_frame_and_without_style_or_script(
    points: list[DayCount], title: str, description: str, unit: str, language: str
) -> None:
    chart = timeline(points, title=title, description=description, unit=unit, language=language)  # type: ignore[arg-type]  # "fr" or "en"
    assert inside(chart)
    assert harmless(chart)
    assert len(chart.rows) <= MAX_BARS


def harmless(chart: Chart) -> bool:
    """Nothing but the shapes that we draw, whatever the words said."""
    known = {"svg", "title", "desc", "defs", "pattern", "rect", "circle", "line", "g", "text", "p"}
    root = tree(chart)
    attributes = {name for one in root.iter() for name in one.attrib}
    return {one.tag.removeprefix(SVG) for one in root.iter()} <= known and not any(
        name == "style" or name.startswith("on") for name in attributes
    )


@settings(deadline=None)
@given(BARS, st.integers(1, 30))
def test_bars_are_as_long_as_their_counts(items: list[Bar], limit: int) -> None:
    chart = barred(items, limit=limit)
    counts = [number(row[1]) for row in chart.rows]
    if not any(counts):
        assert "Rien à montrer" in chart.svg
        return
    lengths = [float(bar.get("width", 0)) for (bar,) in layers(chart)]
    assert len(lengths) == len(counts)
    assert all(
        isclose(length, count / max(counts) * WIDTH, abs_tol=ROUNDING)
        for length, count in zip(lengths, counts, strict=True)
    )


@settings(deadline=None)
@given(BARS, st.integers(1, 30))
def test_the_table_of_bars_has_the_greatest_counts_and_the_sum_of_the_others(items: list[Bar], limit: int) -> None:
    chart = barred(items, limit=limit)
    counts = [number(row[1]) for row in chart.rows]
    greatest = sorted((item.count for item in items), reverse=True)
    assert counts[:limit] == greatest[:limit]
    assert sum(counts) == sum(greatest)
    assert len(counts) == min(len(items), limit + 1)


@settings(deadline=None)
@given(DAYS)
def test_the_table_of_a_timeline_adds_up_to_its_days(points: list[DayCount]) -> None:
    chart = drawn(points)
    columns = [sum(number(row[at]) for row in chart.rows) for at in (1, 2, 3, 4)]
    sums = [sum(values) for values in zip(*(point.counts for point in points), strict=True)]
    assert columns == [*sums, sum(sums)]


@settings(deadline=None)
@given(DAYS)
def test_the_layers_of_a_timeline_are_as_high_as_their_counts_and_stand_on_one_another(points: list[DayCount]) -> None:
    chart = drawn(points)
    if str(chart.svg).startswith("<p"):
        return
    heights, counts = [], []
    for row, rects in zip(chart.rows, layers(chart), strict=True):
        present = [number(cell) for cell in row[1:4] if number(cell)]
        assert len(rects) == len(present)
        heights += [float(rect.get("height", 0)) for rect in rects]
        counts += present
        for lower, upper in pairwise(rects):
            assert isclose(
                float(upper.get("y", 0)) + float(upper.get("height", 0)), float(lower.get("y", 0)), abs_tol=0.03
            )
    unit = max(heights) / max(counts)
    assert all(isclose(h, c * unit, abs_tol=2 * ROUNDING) for h, c in zip(heights, counts, strict=True))


@pytest.mark.parametrize("chart", [drawn([]), barred([]), barred([Bar("A", 0)]), drawn(days(7))])
def test_nothing_to_show_is_a_sentence_and_no_empty_box(chart: Chart) -> None:
    assert chart.svg == '<p class="chart-empty">Rien à montrer pour cette période.</p>'


def test_days_without_entries_keep_their_rows() -> None:
    assert drawn(days(2)).rows == (("2026-01-01", "0", "0", "0", "0"), ("2026-01-02", "0", "0", "0", "0"))


def test_one_day_is_one_bar_of_a_sensible_width_with_its_date() -> None:
    chart = drawn([DayCount(JANUARY, 3)])
    ((bar,),) = layers(chart)
    assert float(bar.get("width", 0)) <= 32
    assert texts(chart, "tick")[-1] == "2026-01-01"


@pytest.mark.parametrize(
    ("length", "bars_drawn", "first_row", "each"),
    [
        (124, 124, "2026-01-01", "par jour"),
        (125, 19, "2026-01-01 \u2013 2026-01-04", "par semaine"),
        (865, 124, "2026-01-01 \u2013 2026-01-04", "par semaine"),
        (866, 29, "2026-01", "par mois"),
        (3652, 120, "2026-01", "par mois"),
        (9000, 25, "2026", "par an"),
    ],
)
def test_a_long_period_is_added_up_and_the_table_says_so(
    length: int, bars_drawn: int, first_row: str, each: str
) -> None:
    chart = drawn(days(length, accesses=1))
    last = JANUARY + timedelta(days=length - 1)
    assert len(chart.rows) == len(layers(chart)) == bars_drawn
    assert chart.rows[0][0] == first_row
    assert chart.note == f"Une barre {each}, du 2026-01-01 au {last.isoformat()}"
    assert texts(chart, "caption") == [f"demandes {each}"]


def test_a_week_begins_on_a_monday_and_ends_with_the_period() -> None:
    rows = drawn(days(125, accesses=1)).rows
    assert [row[0] for row in rows[:2]] == ["2026-01-01 \u2013 2026-01-04", "2026-01-05 \u2013 2026-01-11"]
    assert rows[-1] == ("2026-05-04 \u2013 2026-05-05", "2", "0", "0", "2")


def test_more_years_than_bars_are_no_timeline() -> None:
    with pytest.raises(ValueError, match="124 years"):
        drawn([DayCount(date(1900, 1, 1), 1), DayCount(date(2100, 1, 1), 1)])


@pytest.mark.parametrize("count", [-1, MAX_COUNT + 1])
def test_a_count_that_no_log_has_is_no_count(count: int) -> None:
    with pytest.raises(ValueError, match="a count lies between"):
        Bar("A", count)
    with pytest.raises(ValueError, match="a count lies between"):
        DayCount(JANUARY, 1, count)


@pytest.mark.parametrize(
    ("most", "scale"),
    [
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (7, ["0", "2", "4", "6", "8"]),
        (50, ["0", "20", "40", "60"]),
        (4_000, ["0", "1\u202f000", "2\u202f000", "3\u202f000", "4\u202f000"]),
        (1_600_000, ["0", "0,5\xa0M", "1\xa0M", "1,5\xa0M", "2\xa0M"]),
        (3 * 10**9, ["0", "1\xa0Md", "2\xa0Md", "3\xa0Md"]),
    ],
)
def test_the_axis_has_round_figures(most: int, scale: list[str]) -> None:
    ticks = texts(drawn([DayCount(JANUARY, most)]), "tick")
    assert ticks[:-1] == scale


def test_thousands_are_apart_in_both_languages() -> None:
    items = [Bar("A", 1_234_567)]
    assert barred(items).rows == (("A", "1\u202f234\u202f567"),)
    assert barred(items, language="en").rows == (("A", "1,234,567"),)
    assert drawn([DayCount(JANUARY, 1_600_000)], language="en").rows[0][1] == "1,600,000"


@pytest.mark.parametrize("length", [1, 2, 3, 9, 31, 90, 124, 200, 365, 900, 1500, 3652, 9000])
def test_dates_of_the_axis_never_overlap(length: int) -> None:
    chart = drawn(days(length, accesses=1))
    dates = [
        (float(one.get("x", 0)), len(one.text or ""))
        for one in tree(chart).iter(f"{SVG}text")
        if one.get("text-anchor") == "middle"
    ]
    assert 1 <= len(dates) <= 8
    edges = [(x - size * 3.25, x + size * 3.25) for x, size in dates]
    assert edges[0][0] >= 0
    assert edges[-1][1] <= WIDTH + ROUNDING
    assert all(right < left for (_, right), (left, _) in pairwise(edges))


def test_the_others_are_one_last_bar() -> None:
    items = [Bar(f"org {count:02}", count) for count in range(1, 24)]
    chart = barred(items, limit=20)
    assert chart.rows[0] == ("org 23", "23")
    assert chart.rows[-1] == ("3 autres", "6")
    assert barred(items[:21], limit=20).rows[-1] == ("1 autre", "1")
    assert barred(items[:20], limit=20).rows[-1] == ("org 01", "1")


def test_a_label_too_long_for_its_line_is_cut_there_and_whole_in_the_table() -> None:
    label = "Commune de Saint-Remy-en-Bouzemont-Saint-Genest-et-Isson"
    chart = barred([Bar(label, 12)])
    (cut,) = texts(chart, "label")
    assert cut.endswith("…")
    assert label.startswith(cut[:-1])
    assert chart.rows[0][0] == label


def test_a_chart_is_named_and_described_to_those_who_do_not_see_it() -> None:
    root = tree(drawn([DayCount(JANUARY, 1)], title="Accès & refus"))
    named, described = root.attrib["aria-labelledby"].split()
    by_id = {one.get("id"): one for one in root.iter() if one.get("id")}
    assert root.attrib["role"] == "img"
    assert (by_id[named].tag, by_id[named].text) == (f"{SVG}title", "Accès & refus")
    assert (by_id[described].tag, by_id[described].text) == (f"{SVG}desc", "Par jour")


def test_charts_of_one_page_share_no_id() -> None:
    charts = [
        drawn(days(3, accesses=1)),
        drawn(days(3, refusals=1)),
        drawn(days(3, accesses=1), title="Autre"),
        barred([Bar("A", 1)]),
    ]
    ids = [one.get("id") for chart in charts for one in tree(chart).iter() if one.get("id")]
    assert len(ids) == len(set(ids)) == 4 * len(charts)


def test_what_is_refused_and_what_failed_is_hatched_and_named_not_only_coloured() -> None:
    chart = drawn([DayCount(JANUARY, 5, 4, 3)])
    ((ok, refused, failed),) = layers(chart)
    fills = {one.get("fill") for one in (refused, failed)}
    ids = {f"url(#{one.get('id')})" for one in tree(chart).iter(f"{SVG}pattern")}
    assert (ok.get("fill"), fills) == (None, ids)
    assert texts(chart, "label") == ["Accès\xa0: 5", "Refus\xa0: 4", "Échecs\xa0: 3"]
