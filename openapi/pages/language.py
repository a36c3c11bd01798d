"""Which language a page speaks: French unless English is asked for. Pure."""

import re

from openapi.problem import Language

LANGUAGES: tuple[Language, ...] = ("fr", "en")
LONGEST_HEADER = 200
"""Characters of an ``Accept-Language`` that are read."""


def preferred(*choices: str | None, accept: str = "") -> Language:
    """The first explicit choice that is a language of ours, then the browser's order of preference."""
    for choice in choices:
        if choice == "fr":
            return "fr"
        if choice == "en":
            return "en"
    return _accepted(accept[:LONGEST_HEADER])


def other(language: Language) -> Language:
    """The language that the page can be read in besides."""
    return "en" if language == "fr" else "fr"


def unbreakable(source: str) -> str:
    """French punctuation must not open a line: the space before it becomes U+00A0, as inside ``«`` and after ``n°``."""
    return re.sub("(?<=«) |(?<=n°) | (?=[»;:?!%])", "\N{NO-BREAK SPACE}", source)


def _accepted(header: str) -> Language:
    """RFC 9110 section 12.5.4, by quality then order; what cannot be read counts for nothing."""
    best: tuple[float, Language] = (0.0, "fr")
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        primary = tag.strip().lower().partition("-")[0]
        if primary in LANGUAGES and _quality(quality) > best[0]:
            best = (_quality(quality), "en" if primary == "en" else "fr")
    return best[1]


def _quality(text: str) -> float:
    if not text:
        return 1.0
    try:
        return float(text)
    except ValueError:
        return 0.0
