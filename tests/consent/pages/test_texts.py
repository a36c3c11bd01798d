"""Both languages say the same things, and the browser gets the one it prefers."""

import re
from importlib import resources
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.pages.texts import LANGUAGES, preferred, say, texts

SENTENCES = [
    pytest.param(sentence, id=f"{section}.{name}")
    for section, names in texts().items()
    for name, sentence in names.items()
]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_has_both_languages_with_the_same_facts(sentence):
    assert sentence.keys() == set(LANGUAGES)
    assert placeholders(sentence["fr"]) == placeholders(sentence["en"])
    assert all(text.strip() == text and text for text in sentence.values())


def test_every_sentence_is_said_somewhere():
    pages = resources.files("consent.pages")
    sources = [each.read_text() for each in pages.iterdir() if each.name.endswith(".py")]
    sources += [each.read_text() for each in pages.joinpath("templates").iterdir()]
    code = "\n".join(sources)
    computed = {"span", "basis", "legal_basis", "problem", "grant_event", "verdict"}
    unused = [
        f"{section}.{name}"
        for section, names in texts().items()
        for name in names
        if section not in computed
        and not re.search(rf'["\'] *{section}\.{name}["\'_]', code)
        and f'"{name}"' not in code
        and not name.startswith(("status_", "mistake_"))
        and name not in {"once", "recurring", *(f"{step}_title" for step in ("ask", "withdraw", "see"))}
    ]
    assert unused == []


def test_the_script_says_every_sentence_that_it_is_given():
    script = resources.files("consent.pages").joinpath("static", "verify.js").read_text()
    named = (name.removeprefix("failed_").removeprefix("check_") for name in texts()["verdict"])
    assert [name for name in named if f'"{name}"' not in script and f"words.{name}" not in script] == []


def test_french_punctuation_never_opens_a_line():
    assert "\N{NO-BREAK SPACE}?" in say("fr", "home.lede")
    assert "«\N{NO-BREAK SPACE}Mes" in say("fr", "notice.rights_effect")


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
