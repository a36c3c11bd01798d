"""The pages in a real Chromium: accessible, inside the window, and obeying their own policy."""

import pytest

from tests.browsing import LOOKS, axe_violations
from tests.consent.pages.scene import AUTHORIZE, CALLBACK

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

PAGES = {
    "home": "/",
    "consent": AUTHORIZE,
    "authorisations": "/mes-autorisations?retrait=fait",
    "authorisation": "/mes-autorisations/grant-1",
    "withdrawal": "/mes-autorisations/grant-1/retrait",
    "accesses": "/mes-acces",
    "search with a mistake": "/mes-acces?du=2026-11-24&au=2026-11-01",
    "search that finds nothing": "/mes-acces?avant=1",
    "verification": "/verifier",
    "logged out": "/deconnexion",
    "problem": "/mes-acces/99/preuve",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme", "language"), LOOKS)
def test_axe_finds_nothing_and_nothing_sticks_out(opened, name, width, scheme, language):
    page = opened(PAGES[name], width=width, scheme=scheme, language=language)
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_of_a_window_in_between(opened, name):
    page = opened(PAGES[name], width=768)
    assert page.evaluate("document.documentElement.scrollWidth") <= 768


@pytest.mark.parametrize("width", [320, 1280])
def test_agreeing_and_refusing_stand_side_by_side_and_weigh_the_same(opened, width):
    page = opened(AUTHORIZE, width=width)
    agree, refuse = (page.locator(f"button[value={value}]").bounding_box() for value in ("agree", "refuse"))
    assert agree["y"] == refuse["y"]
    assert (agree["width"], agree["height"]) == pytest.approx((refuse["width"], refuse["height"]), abs=1)
    assert agree["height"] >= 44


def test_every_control_is_reached_by_keyboard_and_shows_where_it_is(opened):
    page = opened(AUTHORIZE)
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name + '=' + document.activeElement.value"))
    assert {"decision=agree", "decision=refuse", "champ=0:quotient_familial.valeur"} <= reached
    page.locator("button[value=agree]").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_enter_key_on_a_box_decides_nothing_and_forgets_no_choice(opened, served):
    page = opened(AUTHORIZE)
    box = page.locator("input[name=champ]").first
    box.uncheck()
    box.press("Enter")
    page.wait_for_url("**/oauth/authorize/decision")
    assert [each.is_checked() for each in page.locator("input[name=champ]").all()] == [False, True, True]
    assert (served.scene.desk.agreed, served.scene.desk.refused) == ([], 0)


def test_the_answer_reaches_the_application_under_the_policy(opened, served):
    page = opened(AUTHORIZE)
    page.locator("input[name=champ]").nth(2).uncheck()
    # Nobody is there; what the policy forbids is not even asked for.
    with page.expect_request(f"{CALLBACK}**") as asked:
        page.locator("button[value=agree]").click()
    assert asked.value.is_navigation_request()
    assert served.scene.desk.agreed[0][0] == (("quotient_familial.valeur", "quotient_familial.fournisseur"),)


def test_withdrawing_takes_two_presses_of_a_button(opened, served):
    page = opened("/mes-autorisations")
    page.get_by_role("link", name="Retirer cette autorisation").click()
    page.get_by_role("main").get_by_role("button").click()
    assert "est retirée" in page.get_by_role("status").inner_text()
    assert served.scene.desk.grants[0].status == "withdrawn"
