"""The pages' sentences in both languages, and which language to speak. French unless English is asked for."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from openapi.problem import Language

LANGUAGES: tuple[Language, ...] = ("fr", "en")


def say(language: Language, key: str, **facts: object) -> str:
    """The sentence ``section.name`` with its placeholders filled. A missing one is a defect: :class:`KeyError`."""
    section, name = key.split(".", 1)
    return texts()[section][name][language].format_map(facts)


def known(section: str, name: str) -> bool:
    """Whether there is such a sentence."""
    return name in texts()[section]


def codes(section: str) -> tuple[str, ...]:
    """The codes that a section has words for, in its order."""
    return tuple(texts()[section])


def named(language: Language, section: str, code: str) -> str:
    """The words of a code; one without words of ours is said as it stands."""
    return texts()[section][code][language] if known(section, code) else code


@lru_cache(maxsize=1)
def texts() -> Mapping[str, Mapping[str, Mapping[Language, str]]]:
    """Every sentence: section, name, language."""
    source = resources.files("audit.pages").joinpath("texts.toml").read_text(encoding="utf-8")
    content: Mapping[str, Mapping[str, Mapping[Language, str]]] = tomllib.loads(_unbreakable(source))
    return content


def preferred(*choices: str | None, accept: str = "") -> Language:
    """The first explicit choice that is a language of ours, then the browser's order of preference."""
    for choice in choices:
        if choice == "fr":
            return "fr"
        if choice == "en":
            return "en"
    return _accepted(accept[:200])


def _unbreakable(source: str) -> str:
    """French punctuation must not open a line: the space before it becomes U+00A0, as after ``n°``."""
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
