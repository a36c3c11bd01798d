"""What the pages look like in both languages; UPDATE_PICTURES=1 renews those in docs/pages."""

import re

import pytest

from tests.audit.pages.scene import CITIZEN, TOWN
from tests.browsing import PICTURES, check_drawn_whole

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

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
    check_drawn_whole(page, PICTURES / f"{name}-{language}.png", language=language, otherwise=tmp_path)
    assert not re.search(r"\{\w+\}", page.inner_text("main"))
