"""The demo's path without a screen: every page opened, every form submitted, every claim checked on the way.

1. the portal's button, FranceConnect, Accord's consent screen, back at the portal with the quotient familial
2. the access in the citizen's own list, with its inclusion proof verified against the log's key
3. the authorisation withdrawn on the citizen's page; the same call refused; the whole log replayed
"""

import json
import re

from rich.console import Console

from audit.verifier import verify_proof_file
from sandbox.api_particulier import Family
from sandbox.app import people_of
from sandbox.browser import Browser, Page
from sandbox.servers import run_accord
from sandbox.world import World

WITHDRAWN = "grant_withdrawn"
HTTP_OK = 200


class Unexpected(Exception):
    """The demo did not go as it must; the message is the sentence that the person reads."""


class Journey:
    """One walk. ``console`` receives the steps; :class:`Unexpected` ends it."""

    def __init__(self, world: World, console: Console, browser: Browser) -> None:
        self._world = world
        self._console = console
        self._browser = browser
        self._step = 0

    def walk(self) -> None:
        """Walk the whole path. Raises :class:`Unexpected` or :class:`sandbox.browser.PageMissing`."""
        number, expected = self._someone_with_a_value()
        access = self._receive(number, expected)
        self._verify_access(access)
        self._withdraw()
        self._call_again()
        self._replay_the_log()

    def _receive(self, number: int, expected: int) -> int:
        home = self._browser.open(self._world.sandbox_url + "/")
        self._say("Portail famille", "the citizen presses « Utiliser mon quotient familial »")
        login = self._browser.press(home.button(text="Utiliser mon quotient familial"))
        self._expect(login, "/api/v2/interaction/", "FranceConnect's login page")
        person = people_of(self._world.sandbox.families)[number]
        self._say("FranceConnect", f"she logs in as {person.label}")
        screen = self._browser.press(login.button(value=person.key))
        self._expect(screen, "/oauth/authorize", "Accord's consent screen")
        self._say("Accord", "the consent screen says who asks, for what, why and for how long; she agrees")
        received = self._browser.press(screen.button(action="/decision", value="agree"))
        self._expect(received, "/quotient-familial", "the portal with the quotient familial")
        shown = received.shown("quotient-familial")
        if int(re.sub(r"\D", "", shown)) != expected:
            raise Unexpected("The portal shows another quotient familial than the holder's file.")
        self._say("Portail famille", f"received: quotient familial [bold]{shown}[/bold], {received.shown('periode')}")
        return int(received.shown("acces"))

    def _verify_access(self, access: int) -> None:
        page = self._browser.open(f"{self._world.accord_url}/mes-acces")
        self._expect(page, "/mes-acces", "the citizen's accesses")
        proof = self._browser.open(page.link(rf"/mes-acces/{access}/preuve"))
        if proof.status != HTTP_OK:
            raise Unexpected(f"The proof of access {access} answers with status {proof.status}.")
        self._say("Accord, mes accès", f"the access has index [bold]{access}[/bold] in the log; its entry:")
        self._console.print_json(_entry(proof))
        verify_proof_file(proof.content, self._vkey())
        self._say("Proof", f"[green]verified[/green]: entry {access} is in the log that this deployment's key signs")

    def _withdraw(self) -> None:
        page = self._browser.open(f"{self._world.accord_url}/mes-autorisations")
        asked = self._browser.open(page.link(r"/mes-autorisations/[^/]+/retrait$"))
        done = self._browser.press(asked.button(action=r"/mes-autorisations/[^/]+/retrait$"))
        self._expect(done, "/mes-autorisations", "the citizen's authorisations")
        self._say("Accord, mes autorisations", "she withdraws the authorisation")

    def _call_again(self) -> None:
        page = self._browser.open(f"{self._world.sandbox_url}/quotient-familial")
        refused = self._browser.press(page.button(text="Actualiser"))
        reason = refused.shown("motif")
        if reason != WITHDRAWN:
            raise Unexpected(f"After the withdrawal the same call must be refused as {WITHDRAWN}, not {reason}.")
        self._say("Portail famille", f"the same call again: [bold]refused[/bold], {reason}")

    def _replay_the_log(self) -> None:
        verdict = run_accord(["audit", "verify"], folder=self._world.folder).strip()
        self._say("accord audit verify", verdict)

    def _someone_with_a_value(self) -> tuple[int, int]:
        for number, family in enumerate(self._world.sandbox.families):
            value = _value_of(family)
            if value is not None:
                return number, value
        raise Unexpected("No family of these fixtures has a quotient familial to show.")

    def _vkey(self) -> str:
        shown = run_accord(["keys", "show"], folder=self._world.folder)
        found = re.search(r"^log\s+(\S+)$", shown, re.MULTILINE)
        if found is None:
            raise Unexpected("'accord keys show' does not show the log's key.")
        return found.group(1)

    def _expect(self, page: Page, path: str, what: str) -> None:
        if page.status != HTTP_OK or path not in page.url:
            raise Unexpected(f"Expected {what}, got status {page.status}: {page.text[:300]}")

    def _say(self, where: str, what: str) -> None:
        self._step += 1
        self._console.print(f"[bold]{self._step}. {where}[/bold]  {what}")


def _value_of(family: Family) -> int | None:
    data = family.payload.get("data")
    quotient = data.get("quotient_familial") if isinstance(data, dict) and family.status == HTTP_OK else None
    value = quotient.get("valeur") if isinstance(quotient, dict) else None
    return value if isinstance(value, int) else None


def _entry(proof: Page) -> str:
    """The log's entry in a proof file: canonical JSON, as a string."""
    document = json.loads(proof.content)
    entry = document.get("entry") if isinstance(document, dict) else None
    if not isinstance(entry, str):
        raise Unexpected("The proof file has no entry.")
    return entry
