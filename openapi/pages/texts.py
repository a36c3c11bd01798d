"""The sentences of one package's pages, French and English side by side in its ``texts.toml``."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import TypeAlias

from openapi.pages.language import unbreakable
from openapi.problem import Language

Sections: TypeAlias = Mapping[str, Mapping[str, Mapping[Language, str]]]
"""Section, name, language."""


class Texts:
    """The sentences of ``package``, read once. French spaces before punctuation are made unbreakable."""

    def __init__(self, package: str) -> None:
        source = resources.files(package).joinpath("texts.toml").read_text(encoding="utf-8")
        self._sections: Sections = tomllib.loads(unbreakable(source))

    def all(self) -> Sections:
        """Every sentence."""
        return self._sections

    def say(self, language: Language, key: str, **facts: object) -> str:
        """The sentence ``section.name``, its placeholders filled. A missing one is a defect: :class:`KeyError`."""
        section, name = key.split(".", 1)
        return self._sections[section][name][language].format_map(facts)

    def known(self, section: str, name: str) -> bool:
        """Whether there is such a sentence."""
        return name in self._sections[section]

    def codes(self, section: str) -> tuple[str, ...]:
        """The codes that a section has words for, in its order."""
        return tuple(self._sections[section])

    def named(self, language: Language, section: str, code: str) -> str:
        """The words of a code; one without words of ours is said as it stands."""
        return self._sections[section][code][language] if self.known(section, code) else code
