"""Finding a dataset by words, whatever their case, accents or order. Pure."""

import unicodedata
from collections.abc import Sequence
from typing import Literal, TypeAlias

from exchange.catalogue.description import DatasetView
from openapi.problem import Language

SubjectFilter: TypeAlias = Literal["all", "citizen", "company"]

LONGEST = 100
"""Characters of a search."""
MATCHES = 5
"""Fields that a card names."""


class Entry:
    """A dataset made ready to be looked for, in both languages at once."""

    def __init__(self, view: DatasetView) -> None:
        self.view = view
        self._own = folded(" ".join((view.dataset, *view.title.values(), *view.provider.values())))
        self._fields = [(one.label, folded(" ".join((one.name, *one.label.values())))) for one in view.fields]
        self._whole = " ".join((self._own, *(text for _, text in self._fields)))

    def has(self, words: Sequence[str], subject: SubjectFilter) -> bool:
        """Whether every word is somewhere in it."""
        return subject in ("all", self.view.subject) and all(word in self._whole for word in words)

    def matching(self, words: Sequence[str], language: Language) -> list[str]:
        """Labels of the fields that have most of the words which the dataset's own name has not."""
        sought = [word for word in words if word not in self._own]
        counts = [(sum(word in text for word in sought), label[language]) for label, text in self._fields]
        best = sorted((one for one in counts if one[0]), key=lambda one: -one[0])
        return [label for _, label in best[:MATCHES]]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a search."""
    return tuple(dict.fromkeys(folded(text).split()))


def folded(text: str) -> str:
    """In small letters without accents; what is neither letter nor digit separates."""
    # Taken apart first: a letter in another shape, as of mathematics, has its small one only then.
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = (letter if letter.isalnum() else " " for letter in apart if not unicodedata.combining(letter))
    return " ".join("".join(kept).split())
