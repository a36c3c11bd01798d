"""Both languages say the same things, and every code that an entry may hold has its words."""

import re
from importlib import resources
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.filters import GROUNDS, names
from audit.pages.texts import LANGUAGES, named, preferred, say, texts
from audit.patterns import PatternKind
from audit.verifier import KINDS

SENTENCES = [
    pytest.param(sentence, id=f"{section}.{name}")
    for section, sentences in texts().items()
    for name, sentence in sentences.items()
]
COMPUTED = {"kind", "outcome", "legal_basis", "act", "ground", "key", "sealed", "label", "hint", "mistake", "scope"}
COMPUTED |= {"role", "problem", "period", "reading"}
"""Sections whose sentences are named by a code."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_has_both_languages_with_the_same_facts(sentence: dict[str, str]) -> None:
    assert sentence.keys() == set(LANGUAGES)
    assert placeholders(sentence["fr"]) == placeholders(sentence["en"])
    assert all(text.strip() == text and text for text in sentence.values())


def test_every_sentence_is_said_somewhere() -> None:
    pages = resources.files("audit.pages")
    sources = [each.read_text() for each in pages.iterdir() if each.name.endswith(".py")]
    sources += [each.read_text() for each in pages.joinpath("templates").iterdir()]
    code = "\n".join(sources)
    unused = [
        f"{section}.{name}"
        for section, sentences in texts().items()
        for name in sentences
        if section not in COMPUTED
        and f"{section}.{name}" not in code
        and f'"{name}"' not in code
        and not re.search(rf'"{name.rsplit("_", 1)[0]}"', code)
    ]
    computed = {f"entry.detail_{seal}" for seal in ("open", "closed", "erased", "empty")}
    computed |= {f"unusual.{kind}{part}" for kind in get_args(PatternKind) for part in ("", "_rule")}
    assert set(unused) - computed == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_its_words(language: str) -> None:
    codes = {
        "kind": KINDS,
        "ground": GROUNDS,
        "act": ("search", "entry", "export", "feed", "count", "patterns", "bundle"),
    }
    for section, known in codes.items():
        for code in known:
            assert named(language, section, code) != code, code  # type: ignore[arg-type]  # a language
    for name in names():
        assert say(language, f"label.{name}")  # type: ignore[arg-type]
    for kind in get_args(PatternKind):
        assert say(language, f"unusual.{kind}")  # type: ignore[arg-type]


def test_french_punctuation_never_opens_a_line() -> None:
    assert "\N{NO-BREAK SPACE}:" in say("fr", "search.saved")
    assert "n°\N{NO-BREAK SPACE}{" in texts()["entry"]["title"]["fr"]
    assert "«\N{NO-BREAK SPACE}accord" in say("fr", "site.footer_verify")


@pytest.mark.parametrize(
    ("choices", "accept", "expected"),
    [
        ((None, None), "", "fr"),
        ((None, None), "en-GB,en;q=0.9", "en"),
        ((None, None), "de,en;q=0.5,fr;q=0.4", "en"),
        ((None, None), "en;q=x", "fr"),
        (("fr", "en"), "en", "fr"),
        (("de", "en"), "fr", "en"),
    ],
)
def test_what_was_asked_for_comes_before_what_the_browser_prefers(choices, accept, expected):
    assert preferred(*choices, accept=accept) == expected


@given(st.text(max_size=300))
def test_any_accept_language_is_one_of_ours(header: str) -> None:
    assert preferred(accept=header) in LANGUAGES
