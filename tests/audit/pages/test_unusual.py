"""Patterns on their page: in neutral words, with what was not looked at, and the search for their entries."""

import re
from html import unescape

from audit.model import Append
from tests.audit.pages.scene import CITIZEN, Scene
from tests.audit.pages.test_search import rows, words


def section(page: str, name: str) -> str:
    start = page.index(f'id="sorte-{name}"')
    return page[start : page.index("</section>", start)]


def link_of(part: str) -> str:
    return unescape(re.findall(r'<p><a href="([^"]*)">', part)[0])


def test_each_kind_is_shown_with_its_rule_and_not_judged(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/particularites").text
    said = words(page)
    assert "montré sans être jugé" in said
    assert "Demandes examinées : 115" in said
    for name, expected in {
        "burst": "32 demandes en une heure",
        "off_hours": "transport-scolaire",
        "refusals": "11 refus sur 23 demandes",
        "several_applications": CITIZEN,
    }.items():
        assert expected in words(section(page, name)), name
    for verdict in ("suspect", "fraude", "anormal"):
        assert verdict not in said.lower()


def test_a_burst_leads_to_its_own_entries(scene: Scene) -> None:
    browser = scene.browser("claire")
    link = link_of(section(browser.get("/audit/particularites").text, "burst"))
    assert link.startswith("/audit?")
    assert len(rows(browser.get(link).text)) == 32


def test_refusals_lead_to_refusals_alone(scene: Scene) -> None:
    browser = scene.browser("claire")
    link = link_of(section(browser.get("/audit/particularites").text, "refusals"))
    found = rows(browser.get(link).text)
    assert len(found) == 11
    assert "kind=refusal" in link


def test_a_pattern_about_a_person_leads_to_the_form_that_asks_why(scene: Scene) -> None:
    browser = scene.browser("claire")
    link = link_of(section(browser.get("/audit/particularites").text, "several_applications"))
    assert link.startswith("/audit/personne?")
    size = scene.size()
    page = browser.get(link).text
    assert f'value="{CITIZEN}"' in page
    assert '<option value="">Choisir un motif</option>' in page
    assert rows(page) == []
    assert scene.size() == size


def test_an_operator_is_told_that_persons_are_not_compared_for_her(scene: Scene) -> None:
    page = scene.browser("nadia").get("/audit/particularites").text
    assert "est pas fait pour vous" in page
    assert CITIZEN not in page


def test_a_period_without_patterns_says_so_for_each_kind(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/particularites?since=2026-01-01&until=2026-01-31&lang=en").text
    assert page.count("Nothing to show for this period.") == 4


def test_what_was_left_out_is_said(scene: Scene) -> None:
    refused = {
        "v": 1,
        "kind": "refusal",
        "request_id": "r",
        "outcome": "token_missing",
        "time": "2026-11-23T08:00:00.000Z",
    }
    scene.append([Append(refused)])
    page = words(scene.browser("claire").get("/audit/particularites?since=2026-11-23&outcome=token_missing").text)
    assert "a pas été examiné" in page
    assert "sans application identifiée, non examinées : 1" in page
