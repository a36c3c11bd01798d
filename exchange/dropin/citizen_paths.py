"""API Particulier's paths of a dataset, and how each says who the citizen is. Pure; a manifest alone says which.

``/identite`` takes her identity and ``/france_connect`` her token; a path that ends with the name of an identifier
(``/ine``, ``/identifiant``) takes a number or a name that could be anybody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from providers.adapters.api_particulier import beside
from providers.manifest import IdentityPart, Manifest

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
