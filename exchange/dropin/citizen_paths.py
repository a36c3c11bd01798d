"""API Particulier's paths of a dataset, and how each says who the citizen is. Pure; a manifest alone says which.

``/identite`` takes her identity and ``/france_connect`` her token; a path that ends with the name of an identifier
(``/ine``, ``/identifiant``) takes a number or a name that could be anybody's. Each in the manifest's version; in
another where its answer can be made of that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from exchange.dropin.company_paths import below_version, version_of
from exchange.dropin.older_versions import CURRENT, OLDER, Reading
from openapi.problem import AccordError
from providers.adapters.api_particulier import beside
from providers.model import IdentityPart, Manifest
from providers.registry import Dataset

HOLDER = "api_particulier"
IDENTITE, FRANCE_CONNECT = "identite", "france_connect"

Mode: TypeAlias = Literal["identite", "france_connect", "identifier"]


@dataclass(frozen=True, slots=True)
class Way:
    """How a path says who she is. ``identifier``: the parameter that does, where one does."""

    mode: Mode
    identifier: str | None = None
    confirms: Mapping[IdentityPart, str] | None = None
    """Fields of the answer that must agree with a citizen who consented; none: her agreement opens nothing here."""


def ways_to(manifest: Manifest) -> Mapping[str, Way]:
    """By path; none where the dataset is not API Particulier's."""
    if manifest.holder != HOLDER or manifest.subject != "citizen":
        return {}
    last = manifest.path.rpartition("/")[2]
    ways: dict[str, Way] = {}
    if last == IDENTITE:
        ways[manifest.path] = Way("identite")
        ways[beside(manifest.path, FRANCE_CONNECT)] = Way("france_connect")
    elif not manifest.identity and last in manifest.parameters and manifest.parameters[last].required:
        ways[manifest.path] = Way("identifier", last, manifest.confirms)
    for name, one in manifest.identifiers.items():
        ways[beside(manifest.path, name)] = Way("identifier", name, one.confirms)
    return ways


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads. ``version``: the one that was asked for, ``served``: the manifest's."""

    dataset: Dataset
    way: Way
    version: int | None
    served: int | None

    @property
    def reading(self) -> Reading:
        """How its answer is read. Raises ``version_not_served`` where it cannot be made of today's."""
        if self.version == self.served:
            return CURRENT
        reading = OLDER.get((self.dataset.manifest.dataset, self.version or 0))
        if reading is None:
            raise AccordError("version_not_served", version=f"v{self.version}", served=f"v{self.served}")
        return reading


class Places:
    """Every path of the datasets offered, in whatever version."""

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self._places = {
            path: Place(one, way, version_of(path), version_of(path))
            for one in datasets
            for path, way in ways_to(one.manifest).items()
        }
        # Two manifests may be two versions of a path: of any other version the newest of them tells.
        oldest_first = sorted(self._places.items(), key=lambda item: item[1].served or 0)
        self._newest = {below_version(path): place for path, place in oldest_first}

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def find(self, path: str) -> Place | None:
        """Where a path leads, if it is one of those."""
        if (exact := self._places.get(path)) is not None:
            return exact
        version, newest = version_of(path), self._newest.get(below_version(path))
        if version is None or newest is None or newest.served is None:
            return None
        return replace(newest, version=version)
