"""API Entreprise's paths that are served here: those of the company datasets' manifests, in every version. Pure.

What stands in the place of ``{siret}`` and of the like is a caller's word: nothing of it is believed yet.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from providers.registry import Dataset

LONGEST_VALUE = 64
"""Characters in the place of one placeholder."""

_VERSIONED = re.compile(r"/v([0-9])(/.+)")
_PLACEHOLDER = re.compile(r"\\\{([a-z_]+)\\\}")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads. ``version``: the one that was asked for. ``repr`` shows nothing that a caller typed."""

    dataset: Dataset
    version: int
    values: Mapping[str, str] = field(repr=False)
    """By placeholder."""

    @property
    def is_current(self) -> bool:
        """Whether it is the version that the holder is asked in."""
        return self.version == version_of(self.dataset.manifest.path)


class Routes:
    """Every path, by its form."""

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self._patterns = [(_pattern(one.manifest.path), one) for one in datasets]

    def find(self, path: str) -> Route | None:
        """Where a path leads, if it is one of those, in whatever version."""
        versioned = _VERSIONED.fullmatch(path)
        if versioned is None:
            return None
        for pattern, dataset in self._patterns:
            if (match := pattern.fullmatch(versioned[2])) is not None:
                return Route(dataset, int(versioned[1]), match.groupdict())
        return None


def version_of(path: str) -> int | None:
    """The version that a path begins with."""
    match = _VERSIONED.fullmatch(path)
    return None if match is None else int(match[1])


def below_version(path: str) -> str:
    """A path without its version."""
    match = _VERSIONED.fullmatch(path)
    return path if match is None else match[2]


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(below_version(path))
    return re.compile(_PLACEHOLDER.sub(rf"(?P<\1>[^/]{{0,{LONGEST_VALUE}}})", escaped))
