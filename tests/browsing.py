"""Pages in a real Chromium: served on this machine, opened, looked at by axe, and drawn.

``UPDATE_PICTURES=1`` renews the pictures in ``docs``. Where there is no Chromium: :mod:`tests.chromium`.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.chromium import chromium_path
from tests.conftest import REPOSITORY

NARROW, WIDE = 320, 1280
"""CSS pixels: a phone, which is also a wide window at four times the size (WCAG 2.2, 1.4.10), and a desk."""
LOOKS = [(NARROW, "light", "en"), (NARROW, "dark", "fr"), (WIDE, "light", "fr"), (WIDE, "dark", "en")]
"""Width, scheme, language: each with each other at least once."""
FEWEST_LOOKS = [(NARROW, "dark", "fr"), (WIDE, "light", "en")]
"""Both widths, both schemes, both languages; the longer words in the narrower window."""
PICTURES = REPOSITORY / "docs" / "pages"
TALLEST = 1600
"""Pixels of a picture; some pages are longer."""

_AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    # All of these; describing every element that passed takes a third of the time.
    "resultTypes": ["violations"],
}
_START_SECONDS = 10.0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole run: while Playwright is started, this thread can run no loop of asyncio's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def port() -> Iterator[tuple[socket.socket, str]]:
    """A socket of this machine, and its URL: pages must know it before they are served there."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening, f"http://localhost:{listening.getsockname()[1]}"


@contextmanager
def served(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """``app`` over plain http."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the pages were not served in time"
            time.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def opening(
    chromium: Browser,
    url: str,
    *,
    who: str | None = None,
    cookies: Callable[[str], Mapping[str, str]] = lambda _who: {},
) -> Iterator[Callable[..., Page]]:
    """What opens a path under ``url``, as ``who`` unless told otherwise; at the end, no page may have complained.

    ``cookies``: those of somebody who is logged in.
    """
    complaints: list[str] = []
    with ExitStack() as contexts:

        def open_page(
            path: str,
            *,
            who: str | None = who,
            width: int = WIDE,
            scheme: Literal["light", "dark"] = "light",
            language: str = "fr",
            scripts: bool = True,
        ) -> Page:
            context = contexts.enter_context(
                chromium.new_context(
                    viewport={"width": width, "height": 800},
                    color_scheme=scheme,
                    locale=language,
                    java_script_enabled=scripts,
                )
            )
            shown = cookies(who).items() if who else ()
            context.add_cookies([{"name": name, "value": value, "url": url} for name, value in shown])
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(url + path)
            return page

        yield open_page
    assert complaints == []


def errors_of(page: Page) -> list[str]:
    """Every error of the page's scripts and of its console from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return errors


def axe_violations(page: Page) -> list[tuple[str, list[str]]]:
    """What axe finds against WCAG 2.2 AA and good practice: the rules, and the elements."""
    found = Axe().run(page, options=_AXE_OPTIONS).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


def where_drawn(picture: Path, *, otherwise: Path) -> Path:
    """The file of a picture of the documentation, when it is to be renewed; else one in the folder ``otherwise``."""
    return picture if os.environ.get("UPDATE_PICTURES") else otherwise / picture.name


def check_drawn_whole(page: Page, picture: Path, *, language: str, otherwise: Path) -> None:
    """The page is in its language, with one heading and nothing that a program forgot; its picture is kept."""
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("h1")).to_have_count(1)
    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    path = where_drawn(picture, otherwise=otherwise)
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": WIDE, "height": height})
    assert path.stat().st_size > 20_000
    assert not re.search(r"undefined|None", page.inner_text("main"))
