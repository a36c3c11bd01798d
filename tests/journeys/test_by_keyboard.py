"""Every page of a citizen in a real Chromium, by keyboard alone and with JavaScript off, in both languages."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sandbox.app import people_of
from tests.browsing import NARROW, PICTURES, WIDE, where_drawn
from tests.journeys.deployment import Deployment

pytestmark = [pytest.mark.enable_socket, pytest.mark.browser, pytest.mark.timeout(240)]

LOCALES = {"fr": "fr-FR", "en": "en-GB"}
WIDTHS = {"fr": WIDE, "en": NARROW}
MOST_TABS = 80

WORDS = {
    "fr": {"login": "FranceConnect", "grants": "Mes autorisations", "accesses": "Mes accès", "more": "Voir le détail"},
    "en": {
        "login": "FranceConnect",
        "grants": "My authorisations",
        "accesses": "My accesses",
        "more": "See the details",
    },
}


class _Citizen:
    """At the keyboard: Tab until it is reached, then Enter. She has no mouse."""

    def __init__(self, page: Page, language: str, folder: Path) -> None:
        self.page = page
        self.language = language
        self._folder = folder
        self._shown = 0

    def press(self, wanted: Locator) -> None:
        """Reach one element by Tab and press Enter on it; the next page is there on return."""
        self.reach(wanted)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def fetch(self, wanted: Locator) -> str:
        """Reach one element by Tab and press Enter on it; the name of the file that it gives."""
        self.reach(wanted)
        with self.page.expect_download() as given:
            self.page.keyboard.press("Enter")
        return given.value.suggested_filename

    def reach(self, wanted: Locator) -> None:
        """Go to one element by Tab."""
        target = wanted.first
        expect(target).to_be_visible()
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.locator(":focus").count() and self._is_focused(target):
                break
        else:
            pytest.fail(f"not reached by keyboard: {target}")

    def see(self, name: str) -> None:
        """Every page says its language, fits its window and has one heading; its picture is kept."""
        expect(self.page.locator("html")).to_have_attribute("lang", self.language)
        expect(self.page.locator("h1")).to_have_count(1)
        self._shown += 1
        picture = PICTURES / f"{self._shown:02d}-{name}-{self.language}.png"
        self.page.screenshot(path=where_drawn(picture, otherwise=self._folder), full_page=True)

    def _is_focused(self, target: Locator) -> bool:
        # Without JavaScript in the page, Chromium's own selector says what has the focus.
        focused, wanted = self.page.locator(":focus").first.bounding_box(), target.bounding_box()
        return focused == wanted


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_citizen_without_mouse_and_without_javascript_does_everything(
    deployment: Deployment, chromium: Browser, tmp_path: Path, language: str
) -> None:
    context = chromium.new_context(
        locale=LOCALES[language],
        viewport={"width": WIDTHS[language], "height": 800},
        java_script_enabled=False,
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    citizen, words = _Citizen(page, language, tmp_path), WORDS[language]
    person = people_of(deployment.world.sandbox.families)[1 if language == "fr" else 2]

    page.goto(deployment.url + "/")
    citizen.see("home")
    page.goto(deployment.world.sandbox_url + "/")
    citizen.press(page.get_by_role("button", name="Utiliser mon quotient familial"))
    if page.url.startswith(deployment.url):
        citizen.press(page.get_by_role("button", name="FranceConnect"))
    citizen.press(page.locator(f'button[name="person"][value="{person.key}"]'))
    expect(page).to_have_url(re.compile(re.escape(deployment.url) + "/oauth/authorize"))
    citizen.see("consent")
    citizen.press(page.locator('button[value="agree"]'))
    expect(page.locator("#quotient-familial")).to_be_visible()

    page.goto(deployment.url + "/mes-autorisations")
    citizen.see("authorisations")
    citizen.press(page.get_by_role("link", name=words["more"]))
    citizen.see("authorisation")
    assert citizen.fetch(page.locator('a[href$="/recu.json"]')).endswith(".json")
    citizen.press(page.get_by_role("link", name=words["accesses"]))
    citizen.see("accesses")
    assert citizen.fetch(page.locator('a[href$="/preuve"]')).startswith("accord-preuve")
    citizen.press(page.locator('a[href="/verifier"]'))
    citizen.see("verification")
    page.goto(deployment.url + "/mes-autorisations")
    citizen.press(page.locator('main a[href$="/retrait"]'))
    citizen.see("withdrawal")
    citizen.press(page.locator('form[action$="/retrait"] button'))
    citizen.see("withdrawn")
    citizen.press(page.locator('form[action="/deconnexion"] button'))
    context.close()
