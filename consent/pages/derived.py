"""Derived answers in words: what leaves, and that the rest does not. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from consent.model import FieldNotice
from consent.pages.texts import say
from openapi.pages.language import LANGUAGES
from openapi.problem import Language
from openapi.rules import Rule


def in_words(rule: Rule, field: FieldNotice | None, language: Language) -> str:
    """A rule as a citizen reads it. ``field``: the one that it is about, if the catalogue still has it."""
    field = FieldNotice(rule.field, dict.fromkeys(LANGUAGES, rule.field)) if field is None else field
    label = field.label[language]
    if rule.kind == "bracket":
        separator = "\N{NO-BREAK SPACE}; " if language == "fr" else "; "
        brackets = separator.join(_brackets(rule.numbers, whole=field.type == "integer", language=language))
        return say(language, "derived.bracket", label=label, brackets=brackets)
    if rule.kind == "count":
        counted = "derived.count_children" if field.about == "child" else "derived.count"
        return say(language, counted, label=label, age=_age(rule.numbers[0], language))
    if rule.kind == "is_present":
        return say(language, "derived.is_present", label=label)
    threshold = "derived.at_most" if rule.kind == "at_most" else "derived.at_least"
    return say(language, threshold, label=label, value=figure(rule.numbers[0], language))


def figure(number: int, language: Language) -> str:
    """A number as it is usually written: ``1 200``, ``1,200``."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if language == "fr" else f"{number:,}"


def _age(years: int, language: Language) -> str:
    return say(language, "span.months", count=12) if years == 1 else say(language, "span.years", count=years)


def _brackets(bounds: Sequence[int], *, whole: bool, language: Language) -> Iterator[str]:
    """``whole``: between 500 and 800 are 500 to 799; otherwise also what lies between 799 and 800."""
    yield say(language, "derived.below", high=figure(bounds[0], language))
    for low, high in pairwise(bounds):
        if whole and low == high - 1:
            yield say(language, "derived.exactly", low=figure(low, language))
        else:
            key, last = ("derived.between", high - 1) if whole else ("derived.between_figures", high)
            yield say(language, key, low=figure(low, language), high=figure(last, language))
    yield say(language, "derived.from", low=figure(bounds[-1], language))
