"""What the catalogue looks like in both languages; UPDATE_PICTURES=1 renews the pictures in docs/pages."""

import pytest

from tests.browsing import PICTURES, check_drawn_whole

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

SHOWN = {"14-catalogue": "/catalogue", "15-catalogue-dataset": "/catalogue/quotient_familial"}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_drawn_whole_in_its_language(opened, tmp_path, name, language):
    page = opened(SHOWN[name], language=language)
    check_drawn_whole(page, PICTURES / f"{name}-{language}.png", language=language, otherwise=tmp_path)
