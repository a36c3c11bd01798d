"""A TOML table read key by key: every fault is noted with its place, so that one reading names them all. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

LANGUAGES = ("en", "fr")
UNFINISHED = "TODO"
"""How a draft marks words that a person has yet to write; nothing so marked is served."""


class Table:
    """One table at ``where``; ``faults`` is shared with its inner tables.

    A wrong value is noted and replaced by an empty one: what was read of a table with faults is for nobody's use.
    """

    def __init__(
        self, row: object, where: str, faults: list[str], *, required: frozenset[str], optional: frozenset[str]
    ) -> None:
        self.where = where
        self.faults = faults
        self._row: Mapping[str, Any] = row if isinstance(row, dict) else {}
        if not isinstance(row, dict):
            faults.append(f"{where}: a table")
            return
        faults += [f"{where}: {name} is missing" for name in sorted(required - row.keys())]
        faults += [f"{where}: {name} is not a key of a manifest" for name in sorted(row.keys() - required - optional)]

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._row

    def fault(self, key: str, expected: str) -> None:
        """Note that the value at ``key`` is not what is expected."""
        self.faults.append(f"{self.at(key)}: {expected}")

    def at(self, key: str) -> str:
        """The place of a key, as faults name it."""
        return f"{self.where}: {key}" if self.where.endswith(".toml") else f"{self.where}.{key}"

    def raw(self, key: str, absent: object = None) -> Any:
        """The value as it stands."""
        return self._row.get(key, absent)

    def text(self, key: str) -> str:
        """A text that says something."""
        return self._text(self._row[key], key) if key in self._row else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty when the key is absent."""
        found = self._row.get(key, [])
        if not isinstance(found, list):
            self.fault(key, "a list of texts")
            return ()
        return tuple(self._text(one, key) for one in found)

    def number(self, key: str, *, most: int, least: int, absent: int) -> int:
        """A whole number within bounds."""
        value = self._row.get(key, absent)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault(key, f"a whole number from {least} to {most}")
        return absent

    def flag(self, key: str, *, absent: bool) -> bool:
        """A boolean."""
        value = self._row.get(key, absent)
        if isinstance(value, bool):
            return value
        self.fault(key, "true or false")
        return absent

    def one_of(self, key: str, allowed: Iterable[str], *, absent: str = "") -> str:
        """One of a few words; an absent required key was noted before."""
        value = self._row.get(key, absent)
        if value not in tuple(allowed) and key in self._row:
            self.fault(key, f"one of {', '.join(allowed)}")
        return str(value)

    def labels(self, key: str) -> Mapping[str, str]:
        """Words in every language, in the table at ``key``."""
        value = self._row.get(key)
        if not isinstance(value, dict) or sorted(value) != sorted(LANGUAGES):
            if key in self._row:
                self.fault(key, "words in fr and in en")
            return dict.fromkeys(LANGUAGES, "")
        return {language: self._words(words, f"{key}.{language}") for language, words in value.items()}

    def own_labels(self) -> Mapping[str, str]:
        """Words in every language, among the table's own keys."""
        return {language: self._words(self._row.get(language, "-"), language) for language in LANGUAGES}

    def tables(self, key: str) -> list[tuple[str, object]]:
        """The entries of an array of tables, each with its place."""
        found = self._row.get(key, [])
        if not isinstance(found, list):
            self.fault(key, "an array of tables")
            return []
        return [(f"{self.at(key)}[{number}]", row) for number, row in enumerate(found, 1)]

    def named(self, key: str) -> list[tuple[str, str, object]]:
        """The entries of a table of tables: name, place, row."""
        found = self._row.get(key, {})
        if not isinstance(found, dict):
            self.fault(key, "a table of tables")
            return []
        return [(name, f"{self.at(key)}.{name!r}", row) for name, row in found.items()]

    def _text(self, value: object, key: str) -> str:
        if isinstance(value, str) and value.strip():
            return value
        self.fault(key, "a text")
        return ""

    def _words(self, value: object, key: str) -> str:
        words = self._text(value, key)
        if words.startswith(UNFINISHED):
            self.fault(key, f"words that a citizen understands in the place of {UNFINISHED}")
        return words
