"""Both languages say the same things, and the browser gets the one it prefers."""

import re
from importlib import resources
from string import Formatter

import pytest

from consent.pages.texts import say, texts
from openapi.pages.language import LANGUAGES

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
    layout = resources.files("openapi.pages").joinpath("templates")
    sources += [each.read_text() for folder in (pages.joinpath("templates"), layout) for each in folder.iterdir()]
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
