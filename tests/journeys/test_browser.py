"""The whole path in a real Chromium: portal, FranceConnect, consent, portal, accesses, withdrawal; axe on the way."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from audit.verifier import verify_proof_file
from sandbox.app import people_of
from tests.browsing import axe_violations, errors_of, where_drawn
from tests.conftest import REPOSITORY
from tests.journeys.deployment import Deployment

pytestmark = [pytest.mark.enable_socket, pytest.mark.browser, pytest.mark.timeout(240)]

# UPDATE_PICTURES=1 renews the one in the README.
PICTURE = REPOSITORY / "docs" / "consent-screen.png"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    opened = context.new_page()
    yield opened
    context.close()


def follow(link: Locator) -> None:
    """Press it; the page that it leads to is there on return."""
    with link.page.expect_navigation():
        link.click()


def test_a_family_gives_its_quotient_familial_to_the_town_and_takes_it_back(
    deployment: Deployment, page: Page, tmp_path: Path
) -> None:
    errors = errors_of(page)
    person = people_of(deployment.world.sandbox.families)[0]
    value = deployment.world.sandbox.families[0].payload["data"]["quotient_familial"]["valeur"]  # type: ignore[index]  # JSON

    page.goto(deployment.world.sandbox_url + "/")
    follow(page.get_by_role("button", name="Utiliser mon quotient familial"))
    if page.url.startswith(deployment.url):
        assert axe_violations(page) == []
        follow(page.get_by_role("button", name="FranceConnect"))
    page.locator(f'button[name="person"][value="{person.key}"]').click()

    # Accord's screen: who, which fields, why, how long, on which ground, what a refusal means.
    expect(page).to_have_url(re.compile(re.escape(deployment.url) + "/oauth/authorize"))
    assert axe_violations(page) == []
    shown = page.inner_text("main")
    for said in ("Commune de Valombre", "Portail famille", "crèche", "refus"):
        assert said.lower() in shown.lower()
    page.screenshot(path=where_drawn(PICTURE, otherwise=tmp_path), full_page=True)
    page.locator('button[value="agree"]').click()

    # Back at the portal with the quotient familial and nothing else.
    expect(page.locator("#quotient-familial")).to_contain_text(str(value))
    assert person.identity.family_name not in page.inner_text("body")
    access = page.inner_text("#acces")

    page.goto(deployment.url + "/mes-acces")
    assert axe_violations(page) == []
    assert "Commune de Valombre" in page.inner_text("main")
    with page.expect_download() as downloading:
        page.locator(f'a[href$="/mes-acces/{access}/preuve"]').click()
    proof = tmp_path / "proof.json"
    downloading.value.save_as(proof)
    proven = verify_proof_file(proof.read_bytes(), deployment.keyring().log.vkey)
    assert (proven.index, proven.entry["outcome"]) == (int(access), "ok")

    page.goto(deployment.url + "/mes-autorisations")
    assert axe_violations(page) == []
    follow(page.locator('a[href$="/retrait"]').first)
    assert axe_violations(page) == []
    follow(page.locator('form[action$="/retrait"] button'))
    assert axe_violations(page) == []

    assert errors == []
    page.goto(deployment.world.sandbox_url + "/quotient-familial")
    page.get_by_role("button", name="Actualiser").click()
    expect(page.locator("#motif")).to_contain_text("grant_withdrawn")


@pytest.mark.parametrize("path", ["/", "/problems/grant_withdrawn", "/nowhere"])
def test_public_pages_are_accessible(deployment: Deployment, page: Page, path: str) -> None:
    page.goto(deployment.url + path)
    if page.locator("main").count():
        assert axe_violations(page) == []
