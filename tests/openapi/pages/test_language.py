"""The browser gets the language it prefers, and French punctuation its spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.pages.language import LANGUAGES, other, preferred, unbreakable


@pytest.mark.parametrize(
    ("choices", "accept", "expected"),
    [
        ((None, None), "", "fr"),
        ((None, None), "en-GB,en;q=0.9", "en"),
        ((None, None), "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ((None, None), "de,en;q=0.5,fr;q=0.4", "en"),
        ((None, None), "de", "fr"),
        ((None, None), "en;q=0", "fr"),
        ((None, None), "en;q=x", "fr"),
        (("fr", "en"), "en", "fr"),
        (("de", "en"), "fr", "en"),
    ],
)
def test_what_was_asked_for_comes_before_what_the_browser_prefers(choices, accept, expected):
    assert preferred(*choices, accept=accept) == expected


@given(st.text(max_size=300))
def test_any_accept_language_is_one_of_ours(header):
    assert preferred(accept=header) in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_language_is_another_one_of_ours(language):
    assert {language, other(language)} == set(LANGUAGES)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Pourquoi ?", "Pourquoi\u00a0?"),
        ("« accord »", "«\u00a0accord\u00a0»"),
        ("n° 7 : 20 %", "n°\u00a07\u00a0: 20\u00a0%"),
        ("plain words, then more.", "plain words, then more."),
    ],
)
def test_a_space_before_french_punctuation_does_not_break(written, read):
    assert unbreakable(written) == read
