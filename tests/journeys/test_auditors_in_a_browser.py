"""Auditors at work on a year of entries: a real deployment, ProConnect's stand-in, a real Chromium, axe.

``ENTRIES`` says how many; ``make million`` asks for a million, which takes some minutes.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from audit.exports.verification import verify_export
from audit.verifier import verify_proof_file
from bench.audit_entries import CLIENTS, RECIPIENTS
from bench.audit_fill import fill
from exchange.keyring import load_keyring
from sandbox.world import DATABASE_FILE, KEYS_FOLDER, World
from tests.browsing import NARROW, WIDE, axe_violations, errors_of
from tests.journeys.deployment import Deployment, deployed, workers_of

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

SIZE = int(os.environ.get("ENTRIES", "60000"))
SECONDS = 20
"""For a page, on a machine that does other things too; the figures are printed."""
MOST_GROWTH = 60 * 2**20
"""Bytes that a worker may take more while an export of everything runs, once its first tenth is sent."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("million"), before=_a_year_of_entries) as running:
        yield running


def _a_year_of_entries(world: World) -> None:
    key = load_keyring(world.folder / KEYS_FOLDER).log
    fill(f"sqlite:///{world.folder / DATABASE_FILE}", key, SIZE, tell=print)


@contextmanager
def _logged_in(chromium: Browser, deployment: Deployment, who: str) -> Iterator[Page]:
    """An agent who came by ProConnect, as everybody does."""
    context = chromium.new_context(locale="fr-FR", viewport={"width": WIDE, "height": 900})
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    page.goto(deployment.url + "/audit")
    page.locator(f'button[name="person"][value="{who}"]').click()
    expect(page).to_have_url(deployment.url + "/audit")
    yield page
    context.close()


class _Walk:
    """From page to page: each is timed, and looked at in both widths, light and dark."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seconds: dict[str, float] = {}

    def to(self, name: str, go: Callable[[], object]) -> None:
        began = time.monotonic()
        go()
        self.page.wait_for_load_state()
        self.seconds[name] = round(time.monotonic() - began, 2)
        for width, scheme in ((WIDE, "light"), (NARROW, "dark")):
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # "light" or "dark"
            assert axe_violations(self.page) == [], name
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, name
        self.page.set_viewport_size({"width": WIDE, "height": 900})


def test_an_auditor_walks_through_a_year_of_entries(
    deployment: Deployment, chromium: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _logged_in(chromium, deployment, "claire") as page:
        errors = errors_of(page)
        walk = _Walk(page)
        walk.to("search", page.reload)
        assert "Claire Fontaine" in page.inner_text("header")
        assert page.locator("tbody tr").count() == 50

        walk.to("filter", lambda: _filter(page))
        expect(page).to_have_url(f"{deployment.url}/audit?application={CLIENTS[21]}&kind=refusal")
        assert page.locator("tbody tr").count() == 50
        walk.to("older", page.get_by_role("link", name="Entrées plus anciennes").click)
        walk.to("entry", page.locator("tbody th a").first.click)
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Télécharger la preuve").click()
        downloading.value.save_as(tmp_path / "proof.json")
        proven = verify_proof_file((tmp_path / "proof.json").read_bytes(), deployment.keyring().log.vkey)
        assert (proven.entry["client"], proven.entry["kind"]) == (CLIENTS[21], "refusal")
        walk.to("form for a person", page.get_by_role("link", name=re.compile("en indiquant un motif")).first.click)
        page.get_by_label("Motif").select_option("complaint")
        page.get_by_label("Référence du dossier").fill("2026-17")
        walk.to("one person", page.get_by_role("button", name="Rechercher").click)
        assert str(proven.index) in page.inner_text("table").replace("\u202f", "")

        walk.to("timeline", page.get_by_role("link", name="Chronologie").first.click)
        assert page.locator("svg.chart").count() == 2
        walk.to("timeline of a year", page.get_by_role("link", name="12 derniers mois").click)
        walk.to("patterns", page.get_by_role("link", name="Particularités").first.click)
        walk.to("readings", page.get_by_role("link", name="Lectures du journal").click)
        assert "Motif : Plainte, dossier 2026-17" in page.inner_text("table").replace("\xa0", " ")
        link = page.get_by_role("link", name="JSON Lines").get_attribute("href")
        assert link == "/audit/export?kind=audit.query&format=jsonl"
        walk.to("logout", page.get_by_role("button", name="Se déconnecter").click)
        expect(page).to_have_url(re.compile(re.escape(deployment.url) + "/audit/deconnexion"))
        page.goto(deployment.url + "/audit")
        assert not page.url.startswith(deployment.url)
    assert errors == []
    with capsys.disabled():
        sys.stdout.write(f"\npages, in seconds: {json.dumps(walk.seconds)}\n")
    assert max(walk.seconds.values()) < SECONDS


def _filter(page: Page) -> None:
    """By keyboard alone: every field of the form is reached by Tab."""
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.name")
        if name == "application":
            page.keyboard.type(CLIENTS[21])
        elif name == "kind":
            page.keyboard.type("Refus")
        elif page.evaluate("document.activeElement.className") == "button":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit?application=*")


@pytest.mark.parametrize(("who", "scope"), [("marc", "Commune de Valombre"), ("nadia", "sans les détails scellés")])
def test_the_others_find_no_more_than_their_role_opens(
    deployment: Deployment, chromium: Browser, who: str, scope: str
) -> None:
    with _logged_in(chromium, deployment, who) as page:
        assert scope in page.inner_text("header")
        page.goto(f"{deployment.url}/audit/entree/1234")
        if who == "marc":
            assert "existe pas" in page.inner_text("h1")
            page.goto(f"{deployment.url}/audit?organisation={RECIPIENTS[0]}")
            assert page.locator("tbody tr").count() == 0
        else:
            assert "ouvre pas ce qui concerne une personne" in page.inner_text("main")
            page.goto(f"{deployment.url}/audit/personne?citizen={'a' * 64}")
            assert "Au-delà de ce que vous pouvez lire" in page.inner_text("h1")


def test_an_export_of_everything_streams_in_flat_memory(
    deployment: Deployment, chromium: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _logged_in(chromium, deployment, "claire") as page:
        cookies = _cookies(page.context)
    target = tmp_path / "everything.zip"
    with _sampled(deployment) as memory:
        began = time.monotonic()
        with (
            target.open("wb") as file,
            httpx.stream(
                "GET", f"{deployment.url}/audit/export?format=jsonl", cookies=cookies, timeout=60, trust_env=False
            ) as reply,
        ):
            assert reply.headers["content-disposition"] == 'attachment; filename="accord-export-jsonl.zip"'
            for chunk in reply.iter_raw():
                file.write(chunk)
                memory.sent = file.tell()
        took = time.monotonic() - began
    size = target.stat().st_size
    manifest = verify_export(target, deployment.keyring().log.vkey)
    assert manifest.count >= SIZE
    assert (manifest.first_index, manifest.last_index) == (0, manifest.count - 1)
    before = max(resident for resident, sent in memory.samples if sent <= size / 10)
    after = max(resident for resident, sent in memory.samples if sent > size / 10)
    mib = {name: f"{value / 2**20:.0f} MiB" for name, value in {"size": size, "before": before, "after": after}.items()}
    with capsys.disabled():
        sys.stdout.write(
            f"\nexport of {manifest.count:,} entries: {took:.0f} s, {mib['size']}, "
            f"{manifest.count / took:,.0f} entries/s; "
            f"the worker's memory: {mib['before']} in the first tenth, {mib['after']} afterwards\n"
        )
    assert after - before < MOST_GROWTH


def test_exports_that_are_given_up_leave_room_for_the_next(deployment: Deployment, chromium: Browser) -> None:
    with _logged_in(chromium, deployment, "claire") as page:
        cookies = _cookies(page.context)
    address = f"{deployment.url}/audit/export?format=csv"
    for _ in range(5):
        with _in_time(address, cookies) as reply:
            assert next(reply.iter_raw())[:2] == b"PK"


@contextmanager
def _in_time(address: str, cookies: dict[str, str]) -> Iterator[httpx.Response]:
    """The answer, once there is room: a worker notices that somebody left when it sends the next chunk."""
    deadline = time.monotonic() + SECONDS
    while True:
        with httpx.stream("GET", address, cookies=cookies, timeout=60, trust_env=False) as reply:
            if reply.status_code == 200:
                yield reply
                return
            assert reply.status_code == 503
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _cookies(context: BrowserContext) -> dict[str, str]:
    return {str(one["name"]): str(one["value"]) for one in context.cookies()}


class _Memory:
    """Resident bytes of the workers' largest, with what was sent by then."""

    def __init__(self) -> None:
        self.sent = 0
        self.samples: list[tuple[int, int]] = []


@contextmanager
def _sampled(deployment: Deployment) -> Iterator[_Memory]:
    memory, done = _Memory(), threading.Event()
    workers = workers_of(deployment.process) or [deployment.process.pid]

    def sample() -> None:
        while not done.is_set():
            memory.samples.append((max(_resident(pid) for pid in workers), memory.sent))
            done.wait(0.05)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()


def _resident(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
