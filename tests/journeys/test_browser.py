"""The whole path in a real Chromium: portal, FranceConnect, consent, portal, accesses, withdrawal; axe on the way."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from audit.verifier import verify_proof_file
from sandbox.app import people_of
from tests.chromium import chromium_path
from tests.conftest import REPOSITORY
from tests.journeys.deployment import Deployment, deployed

pytestmark = [pytest.mark.enable_socket, pytest.mark.browser, pytest.mark.timeout(240)]

# UPDATE_PICTURES=1 renews the one in the README.
PICTURE = REPOSITORY / "docs" / "consent-screen.png"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    opened = context.new_page()
    yield opened
    context.close()


def _check_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_a_family_gives_its_quotient_familial_to_the_town_and_takes_it_back(
    deployment: Deployment, page: Page, tmp_path: Path
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    person = people_of(deployment.world.sandbox.families)[0]
    value = deployment.world.sandbox.families[0].payload["data"]["quotient_familial"]["valeur"]  # type: ignore[index]  # JSON

    page.goto(deployment.world.sandbox_url + "/")
    page.get_by_role("button", name="Utiliser mon quotient familial").click()
    if page.url.startswith(deployment.url):
        _check_accessible(page)
        page.get_by_role("button", name="FranceConnect").click()
    page.locator(f'button[name="person"][value="{person.key}"]').click()

    # Accord's screen: who, which fields, why, how long, on which ground, what a refusal means.
    expect(page).to_have_url(re.compile(re.escape(deployment.url) + "/oauth/authorize"))
    _check_accessible(page)
    shown = page.inner_text("main")
    for said in ("Commune de Valombre", "Portail famille", "crèche", "refus"):
        assert said.lower() in shown.lower()
    page.screenshot(path=PICTURE if os.environ.get("UPDATE_PICTURES") else tmp_path / PICTURE.name, full_page=True)
    page.locator('button[value="agree"]').click()

    # Back at the portal with the quotient familial and nothing else.
    expect(page.locator("#quotient-familial")).to_contain_text(str(value))
    assert person.identity.family_name not in page.inner_text("body")
    access = page.inner_text("#acces")

    page.goto(deployment.url + "/mes-acces")
    _check_accessible(page)
    assert "Commune de Valombre" in page.inner_text("main")
    with page.expect_download() as downloading:
        page.locator(f'a[href$="/mes-acces/{access}/preuve"]').click()
    proof = tmp_path / "proof.json"
    downloading.value.save_as(proof)
    proven = verify_proof_file(proof.read_bytes(), deployment.keyring().log.vkey)
    assert (proven.index, proven.entry["outcome"]) == (int(access), "ok")

    page.goto(deployment.url + "/mes-autorisations")
    _check_accessible(page)
    page.locator('a[href$="/retrait"]').first.click()
    _check_accessible(page)
    page.locator('form[action$="/retrait"] button').click()
    _check_accessible(page)

    assert errors == []
    page.goto(deployment.world.sandbox_url + "/quotient-familial")
    page.get_by_role("button", name="Actualiser").click()
    expect(page.locator("#motif")).to_contain_text("grant_withdrawn")


@pytest.mark.parametrize("path", ["/", "/problems/grant_withdrawn", "/nowhere"])
def test_public_pages_are_accessible(deployment: Deployment, page: Page, path: str) -> None:
    page.goto(deployment.url + path)
    if page.locator("main").count():
        _check_accessible(page)
