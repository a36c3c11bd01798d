"""By which doors a dataset is reached, and on what an access through them may rest. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from exchange.identify import PATH
from exchange.model import GroundKind
from providers.manifest import Manifest

DoorKind: TypeAlias = Literal["accord", "drop_in"]

GROUNDS: tuple[GroundKind, ...] = ("consent", "franceconnect", "agent", "application")
"""Those that an access about a citizen may rest on; the registry's habilitation says which of them it does."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to ask. ``path``: with the names of what fills it in braces."""

    kind: DoorKind
    path: str
    method: Literal["GET"] = "GET"


def doors_of(manifest: Manifest) -> tuple[Door, ...]:
    """Every way to ask for a dataset."""
    return Door("accord", PATH + manifest.dataset), *(Door("drop_in", path) for path in _peers_paths(manifest))


def _peers_paths(manifest: Manifest) -> tuple[str, ...]:
    """The paths of the State's API that are served here too, for applications that were written for it."""
    if manifest.holder == "api_entreprise":
        return (manifest.path,)
    stem, _, last = manifest.path.rpartition("/")
    if manifest.holder == "api_particulier" and last == "identite":
        return manifest.path, f"{stem}/france_connect"
    return ()


def grounds_of(manifest: Manifest) -> tuple[GroundKind, ...]:
    """On what an access may rest."""
    return ("company",) if manifest.subject == "company" else GROUNDS
