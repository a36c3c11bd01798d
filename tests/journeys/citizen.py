"""A citizen at the browser: logs in, reads, agrees, withdraws, by the pages alone."""

import asyncio
from urllib.parse import parse_qs, urlsplit

from sandbox.app import people_of
from sandbox.browser import Browser, Page
from sandbox.portail_famille.accord import Accord
from tests.journeys.deployment import Deployment


def log_in(deployment: Deployment, browser: Browser, page: Page, *, person: int) -> Page:
    """From any page that leads to FranceConnect, log in as one of the sandbox's people."""
    if not page.url.startswith(deployment.world.sandbox_url):
        page = browser.press(page.button(text="FranceConnect"))
    return browser.press(page.button(value=people_of(deployment.world.sandbox.families)[person].key))


def authorize(deployment: Deployment, *, person: int) -> str:
    """Ask the citizen, who agrees to everything; return the consent token."""
    portal = Accord(deployment.world.sandbox.portal)
    departure = asyncio.run(portal.request_authorization())
    with Browser() as browser:
        screen = log_in(deployment, browser, browser.open(departure.url), person=person)
        back = browser.press(screen.button(action="/decision", value="agree"))
    # The portal has no session of this browser and stays where it was sent.
    answer = parse_qs(urlsplit(back.url).query)
    assert answer["state"] == [departure.state]
    assert answer["iss"] == [deployment.url]
    return asyncio.run(portal.redeem(answer["code"][0], departure.verifier))
