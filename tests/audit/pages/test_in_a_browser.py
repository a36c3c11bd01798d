"""The pages in a real Chromium: accessible, inside the window, readable on paper, and obeying their own policy."""

import re

import pytest
from playwright.sync_api import expect

from tests.audit.pages.scene import CITIZEN, PROVIDER, TOWN
from tests.browsing import FEWEST_LOOKS, LOOKS, axe_violations

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

PAGES = {
    "search": ("claire", "/audit"),
    "filtered": (
        "marc",
        f"/audit?kind=refusal&dataset=quotient_familial&since=2026-11-01T00:00:00Z&organisation={TOWN}",
    ),
    "mistakes": ("claire", f"/audit?since=2026-02-30&organisation=1&delegate=2&citizen={CITIZEN}"),
    "nothing found": ("nadia", "/audit?application=nobody"),
    "person": ("claire", f"/audit/personne?citizen={CITIZEN}"),
    "readings": ("claire", "/audit?kind=audit.query"),
    "entry": ("claire", "/audit/entree/5"),
    "entry, sealed": ("nadia", "/audit/entree/5"),
    "entry, erased": ("claire", "/audit/entree/0"),
    "timeline": ("claire", "/audit/chronologie"),
    "timeline without entries": ("marc", "/audit/chronologie?since=2026-01-01&until=2026-01-02"),
    "timeline with a mistake": ("claire", "/audit/chronologie?request_id=1"),
    "patterns": ("claire", "/audit/particularites"),
    "patterns for an operator": ("nadia", "/audit/particularites?since=2026-11-01"),
    "unknown": ("nobody", "/audit"),
    "not found": ("claire", "/audit/entree/999999"),
    "logged out": (None, "/audit/deconnexion"),
}
OPEN_EVERYTHING = "document.querySelectorAll('details').forEach(one => one.open = true)"


# Both widths, schemes and languages for every page; every combination for the search, which has everything.
LOOKED_AT = [(name, *look) for name in PAGES for look in (LOOKS if name == "search" else FEWEST_LOOKS)]


@pytest.mark.parametrize(("name", "width", "scheme", "language"), LOOKED_AT)
def test_axe_finds_nothing_and_nothing_sticks_out(opened, name, width, scheme, language):
    who, path = PAGES[name]
    page = opened(path, who=who, width=width, scheme=scheme, language=language)
    # What is folded is looked at too.
    page.evaluate(OPEN_EVERYTHING)
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("name", ["search", "entry", "timeline", "patterns"])
@pytest.mark.parametrize("width", [480, 640, 1024, 1920])
def test_nothing_sticks_out_of_any_other_window(opened, name, width):
    # 640: a window of 1280 at twice the size (WCAG 2.2, 1.4.4); 320: at four times (1.4.10).
    who, path = PAGES[name]
    page = opened(path, who=who, width=width)
    page.evaluate(OPEN_EVERYTHING)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["search", "entry", "timeline", "patterns"])
def test_on_paper_there_is_what_was_found_and_nothing_to_press(opened, name):
    who, path = PAGES[name]
    page = opened(path, who=who, width=794)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    for gone in (".filters", "nav", ".skip", ".ways a", "footer"):
        assert all(not one.is_visible() for one in page.locator(gone).all()), gone
    if name == "search":
        expect(page.locator("thead th").first).to_be_visible()
    if name == "timeline":
        assert page.locator("table.figures").first.bounding_box()["height"] > 300


def test_a_narrow_window_keeps_the_table_a_table(opened):
    page = opened("/audit?kind=refusal", width=320)
    table = page.get_by_role("table")
    assert table.get_by_role("columnheader").count() == 6
    assert table.get_by_role("row").count() == 18
    assert page.get_by_role("rowheader").first.get_by_role("link").count() == 1


def test_every_control_is_reached_by_keyboard_and_shows_where_it_is(opened):
    page = opened("/audit?kind=refusal")
    reached, shown = set(), set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.innerText.trim()"))
        shown.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert {"organisation", "application", "kind", "outcome", "since", "until", "Rechercher"} <= reached
    assert {"Plus de critères", "Rechercher une personne ou une autorisation"} <= reached
    assert "none" not in shown


def test_the_form_is_sent_by_the_enter_key_and_its_address_is_plain(opened, place):
    page = opened("/audit")
    page.get_by_label("Application", exact=True).fill("aide-sociale")
    page.get_by_label("Nature").select_option("access")
    page.get_by_label("Application", exact=True).press("Enter")
    page.wait_for_url(f"{place}/audit?application=aide-sociale&kind=access")
    assert page.locator("tbody tr").count() == 36


def test_a_mistake_is_announced_and_leads_to_its_field(opened):
    page = opened("/audit?organisation=1")
    alert = page.get_by_role("alert")
    assert "Corrigez ces critères" in alert.inner_text()
    alert.get_by_role("link", name="Organisme").click()
    assert page.evaluate("document.activeElement.name") == "organisation"


def test_everything_works_without_javascript(opened):
    page = opened("/audit", scripts=False)
    page.get_by_text("Rechercher une personne ou une autorisation").click()
    page.get_by_label("Pseudonyme de la personne").fill(CITIZEN)
    page.get_by_label("Motif").select_option("complaint")
    page.get_by_label("Référence du dossier").fill("2026-17")
    page.get_by_role("button", name="Rechercher").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    page.locator("tbody tr th a").first.click()
    expect(page.locator("h1")).to_contain_text("Entrée")


def test_the_logout_reaches_proconnect_under_the_policy(opened):
    page = opened("/audit")
    # Nobody is there; what the policy forbids is not even asked for.
    with page.expect_request(re.compile(re.escape(PROVIDER) + "/session/end")) as asked:
        page.get_by_role("button", name="Se déconnecter").click()
    assert asked.value.is_navigation_request()


def test_a_page_fetches_nothing_from_anybody_else(opened, place):
    page = opened("/audit/deconnexion")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _, path in list(PAGES.values())[:13]:
        page.goto(place + path)
    assert asked
    assert [url for url in asked if not url.startswith(place)] == []
