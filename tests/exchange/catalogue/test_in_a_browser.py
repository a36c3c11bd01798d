"""The catalogue in a real Chromium: accessible, inside the window, readable on paper, and obeying its own policy."""

import pytest
from playwright.sync_api import expect

from providers.manifest import manifests
from tests.browsing import FEWEST_LOOKS, LOOKS, axe_violations

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

LONGEST = max(manifests().values(), key=lambda one: len(one.fields)).dataset
COMPANY = next(name for name, one in manifests().items() if one.subject == "company")
TOLD_MORE = next(name for name, one in manifests().items() if one.parameters)
PAGES = {
    "list": "/catalogue",
    "found": "/catalogue?q=enfant&sujet=citizen",
    "nothing found": "/catalogue?q=zzz",
    "citizen": "/catalogue/quotient_familial",
    "longest": f"/catalogue/{LONGEST}",
    "company": f"/catalogue/{COMPANY}",
    "with parameters": f"/catalogue/{TOLD_MORE}",
    "not found": "/catalogue/unknown",
}
LOOKED_AT = [(name, *look) for name in PAGES for look in (LOOKS if name in {"list", "citizen"} else FEWEST_LOOKS)]


@pytest.mark.parametrize(("name", "width", "scheme", "language"), LOOKED_AT)
def test_axe_finds_nothing_and_nothing_sticks_out(opened, name, width, scheme, language):
    page = opened(PAGES[name], width=width, scheme=scheme, language=language)
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("name", ["list", "longest", "with parameters"])
@pytest.mark.parametrize("width", [480, 704, 1024, 1920])
def test_nothing_sticks_out_of_any_other_window(opened, name, width):
    page = opened(PAGES[name], width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["list", "citizen"])
def test_on_paper_there_is_what_there_is_to_read_and_nothing_to_press(opened, name):
    page = opened(PAGES[name], width=794)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    for gone in (".search", ".skip", ".language", ".programs", "footer"):
        assert all(not one.is_visible() for one in page.locator(gone).all()), gone
    if name == "citizen":
        expect(page.get_by_role("rowheader").first).to_be_visible()


def test_a_narrow_window_keeps_the_table_a_table(opened):
    page = opened(PAGES["citizen"], width=320)
    fields = len(manifests()["quotient_familial"].fields)
    table = page.get_by_role("table").first
    assert table.get_by_role("columnheader").count() == 3
    assert table.get_by_role("rowheader").count() == fields


def test_everything_is_found_and_read_without_javascript(opened, place):
    page = opened("/catalogue", scripts=False)
    page.get_by_label("Mots cherchés").fill("prénoms enfants")
    page.get_by_label("Sur qui").select_option("citizen")
    page.get_by_role("button", name="Chercher").click()
    page.wait_for_url(f"{place}/catalogue?q=pr%C3%A9noms+enfants&sujet=citizen")
    page.get_by_role("link", name="Quotient familial", exact=True).click()
    expect(page.locator("h1")).to_have_text("Quotient familial")
    page.get_by_role("link", name="English").click()
    expect(page.locator("h1")).to_contain_text("Family quotient")
    page.get_by_role("link", name="The whole catalogue").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_form_is_reached_by_keyboard_and_shows_where_it_is(opened, place):
    page = opened("/catalogue")
    reached, shown = [], set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.innerText.trim()"))
        shown.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert reached[0] == "Aller au contenu"
    assert {"q", "sujet", "Chercher"} <= set(reached)
    assert "none" not in shown
    page.get_by_label("Mots cherchés").fill("revenu")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{place}/catalogue?q=revenu&sujet=all")


def test_a_page_fetches_nothing_from_anybody_else(opened, place):
    page = opened("/catalogue/unknown")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES.values():
        page.goto(place + path)
    assert asked
    assert [url for url in asked if not url.startswith(place)] == []
