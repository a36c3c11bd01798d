"""What the pages look like in both languages; UPDATE_PICTURES=1 renews those in docs/pages."""

import os
import re

import pytest
from playwright.sync_api import expect

from tests.audit.pages.scene import CITIZEN, TOWN
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

PICTURES = REPOSITORY / "docs" / "pages"
TALLEST = 1600
"""Pixels of a picture; a page of fifty entries is longer."""
SHOWN = {
    "09-audit-search": f"/audit?organisation={TOWN}&since=2026-11-01",
    "10-audit-person": f"/audit/personne?citizen={CITIZEN}",
    "11-audit-entry": "/audit/entree/50",
    "12-audit-timeline": "/audit/chronologie",
    "13-audit-patterns": "/audit/particularites",
}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_drawn_whole_in_its_language(opened, tmp_path, name, language):
    page = opened(SHOWN[name], language=language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("h1")).to_have_count(1)
    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    folder = PICTURES if os.environ.get("UPDATE_PICTURES") else tmp_path
    path = folder / f"{name}-{language}.png"
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": height})
    assert path.stat().st_size > 20_000
    assert not re.search(r"\{\w+\}|undefined|None", page.inner_text("main"))
