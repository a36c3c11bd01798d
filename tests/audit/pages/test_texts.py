"""Both languages say the same things, and every code that an entry may hold has its words."""

import re
from importlib import resources
from string import Formatter
from typing import get_args

import pytest

from audit.filters import GROUNDS, names
from audit.pages.texts import named, say, texts
from audit.patterns import PatternKind
from audit.verifier import KINDS
from openapi.pages.language import LANGUAGES

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
    layout = resources.files("openapi.pages").joinpath("templates")
    sources += [each.read_text() for folder in (pages.joinpath("templates"), layout) for each in folder.iterdir()]
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
