"""Derived answers on the pages, in a real Chromium: long sentences beside their boxes, and her lists of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page

from openapi.rules import Rule
from tests.browsing import FEWEST_LOOKS, axe_violations
from tests.consent.pages.browser import Served
from tests.consent.pages.scene import ACCESS, AUTHORIZE, DETAIL, GRANT, PENDING

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

VALUE = "quotient_familial.valeur"
LONGEST = Rule("tranche", "bracket", VALUE, tuple(range(100_000_000, 1_000_000_000, 80_000_000)))
DERIVED = replace(DETAIL, fields=("adresse.code_postal_ville",), rules=(LONGEST, Rule("connu", "is_present", VALUE)))
PAGES = [AUTHORIZE, "/mes-autorisations", "/mes-autorisations/grant-1", "/mes-acces"]


@pytest.fixture
def answers(served: Served, opened: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    served.scene.desk.waiting = replace(PENDING, details=(DERIVED,))
    served.scene.desk.grants = [replace(GRANT, details=(DERIVED,))]
    served.scene.accesses.views = [  # type: ignore[union-attr]
        replace(ACCESS, fields=[*DERIVED.fields, VALUE], rules=[rule.text for rule in DERIVED.rules])
    ]
    yield opened
    served.scene.desk.waiting = PENDING


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme", "language"), FEWEST_LOOKS)
def test_the_longest_rule_fits_the_window_and_axe_finds_nothing(
    answers: Callable[..., Page], path: str, width: int, scheme: str, language: str
) -> None:
    page = answers(path, width=width, scheme=scheme, language=language)
    assert "100" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe_violations(page) == []


def test_an_answer_is_unticked_like_a_field(answers: Callable[..., Page], served: Served) -> None:
    page = answers(AUTHORIZE)
    page.get_by_label("Montant du quotient familial").first.uncheck()
    page.locator("button[value=agree]").click()
    ((fields, _, _),) = served.scene.desk.agreed
    assert fields == (("adresse.code_postal_ville", "connu"),)
