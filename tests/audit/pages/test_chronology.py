"""Counts: the last thirty days unless a period is named, and each figure with the search that it stands for."""

import re
from datetime import date
from html import unescape

import pytest

from audit.blocks import BLOCK
from audit.model import Append
from audit.pages import chronology
from audit.pages.chronology import _days_of
from tests.audit.pages.scene import CITIZEN, DAY, DEPARTMENT, NOW, TOWN, Scene, access
from tests.audit.pages.test_search import rows, words


def figures(page: str) -> list[tuple[int, str]]:
    """Every figure that is a link, with its search."""
    found = re.findall(r'<a href="([^"]*)">([\d\u202f]+)<span class="unseen">', page)
    return [(int(figure.replace("\u202f", "")), unescape(link)) for link, figure in found]


def test_the_last_thirty_days_are_counted_where_no_period_is_named(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/chronologie").text
    said = words(page)
    assert "Depuis le 26/10/2026" in said
    assert 'name="since" type="date" value="2026-10-26"' in page
    assert "Accès 97" in said
    assert "Refus 17" in said
    assert "Échecs 1" in said


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "?since=2026-10-30&until=2026-11-22",
        "?since=2026-10-30T05:00:00Z&until=2026-11-20T12:00:00Z",
        f"?organisation={DEPARTMENT}&since=2026-01-01",
        "?kind=refusal&since=2020-01-01",
        "?until=2026-11-10",
    ],
)
def test_every_figure_by_day_is_what_its_search_finds(scene: Scene, asked: str) -> None:
    browser = scene.browser("claire")
    page = browser.get(f"/audit/chronologie{asked}").text
    days = [one for one in figures(page) if "kind=" in one[1]]
    assert days
    for figure, link in days[:3] + days[-6:]:
        found = browser.get(link)
        assert found.status_code == 200
        older = 'rel="next"' in found.text
        assert len(rows(found.text)) == figure or (older and len(rows(found.text)) < figure), link


def test_figures_of_an_organisation_are_found_by_its_search_with_its_other_entries(scene: Scene) -> None:
    browser = scene.browser("claire")
    page = browser.get("/audit/chronologie").text
    assert "telles que les autorisations" in page
    figure, link = next(one for one in figures(page) if DEPARTMENT in one[1])
    # An authorisation is among them.
    assert len(rows(browser.get(link).text)) == figure + 1 == 37


def test_each_chart_has_its_table_and_says_whom_it_is_about(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/chronologie?lang=en").text
    assert page.count("<svg") - page.count('aria-hidden="true"') == 2
    assert page.count('<table class="figures">') == 2
    assert "Département de la Doline" in page
    assert f'href="/audit/chronologie?since=2026-10-26&amp;organisation={TOWN}"' in page


def test_the_table_of_organisations_adds_up_to_all_that_was_counted(own: Scene, monkeypatch) -> None:
    monkeypatch.setattr(chronology, "MOST_ORGANISATIONS", 20)
    seen = [access(at, at=NOW - DAY, recipient=f"2199000{at % 30:07}") for at in range(BLOCK)]
    nobodys = access(999, at=NOW - DAY, kind="refusal", outcome="token_missing", client="")
    own.append([*seen, Append({name: said for name, said in nobodys.skeleton.items() if name != "recipient"})])
    page = own.browser("claire").get("/audit/chronologie").text
    table = page[page.rindex('<table class="figures">') : page.rindex("</table>")]
    said = words(table)
    assert table.count("<tr>") == 1 + 20 + 2
    assert "Autres organismes : 10 80" in said
    assert "Sans organisme identifié 1" in said
    assert sum(figure for figure, _ in figures(table)) == BLOCK - 80


@pytest.mark.parametrize("asked", [f"citizen={CITIZEN}&ground=complaint&case=1", "request_id=r-0", "grant=g", "case=1"])
def test_one_person_or_request_is_not_counted(scene: Scene, asked: str) -> None:
    size = scene.size()
    reply = scene.browser("claire").get(f"/audit/chronologie?{asked}")
    assert reply.status_code == 400
    assert "un décompte ne porte pas sur une personne" in reply.text
    assert 'aria-invalid="true"' in reply.text
    assert scene.size() == size


@pytest.mark.parametrize(
    "asked",
    [
        "since=2000-01-02",
        "since=2000-01-02&until=2199-12-31",
        "since=2150-01-01",
        "until=2000-01-03",
        "since=2199-12-31",
    ],
)
def test_any_period_that_a_filter_takes_is_drawn_or_said_to_be_empty(scene: Scene, asked: str) -> None:
    reply = scene.browser("claire").get(f"/audit/chronologie?{asked}")
    assert reply.status_code == 200
    assert "<svg" in reply.text


def test_a_short_period_shows_its_days_without_entries_too(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/chronologie?since=2026-11-20&until=2026-11-24").text
    table = page[page.index('<table class="figures">') : page.index("</table>")]
    assert re.findall(r'<th scope="row">([^<]*)</th>', table) == [f"2026-11-{day}" for day in range(20, 25)]


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("2026-02-03", (date(2026, 2, 3), date(2026, 2, 3))),
        ("2026-02-02 \u2013 2026-02-08", (date(2026, 2, 2), date(2026, 2, 8))),
        ("2024-02", (date(2024, 2, 1), date(2024, 2, 29))),
        ("2026", (date(2026, 1, 1), date(2026, 12, 31))),
    ],
)
def test_a_bar_is_found_by_its_days(name: str, days: tuple[date, date]) -> None:
    assert _days_of(name) == days
