"""By which doors a dataset is reached, and on what an access through them may rest. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from exchange.dropin.citizen_paths import ways_to
from exchange.identify import PATH
from exchange.model import GroundKind
from providers.model import Manifest

DoorKind: TypeAlias = Literal["accord", "drop_in"]
Method: TypeAlias = Literal["GET", "POST"]

GROUNDS: tuple[GroundKind, ...] = ("consent", "franceconnect", "agent", "application")
"""Those that an access about a citizen may rest on; the registry's habilitation says which of them it does."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to ask. ``path``: with the names of what fills it in braces."""

    kind: DoorKind
    path: str
    method: Method = "GET"


def doors_of(manifest: Manifest) -> tuple[Door, ...]:
    """Every way to ask for a dataset."""
    own = tuple(Door("accord", PATH + manifest.dataset, method) for method in _methods(manifest))
    return *own, *(Door("drop_in", path) for path in _peers_paths(manifest))


def _methods(manifest: Manifest) -> tuple[Method, ...]:
    """``POST`` where there is something to say of a person, which has no place in a URL."""
    personal = [one for one in manifest.parameters.values() if one.personal]
    if manifest.subject == "company" or not personal:
        return ("GET",)
    return ("POST",) if any(one.required for one in personal) else ("GET", "POST")


def _peers_paths(manifest: Manifest) -> tuple[str, ...]:
    """The paths of the State's API that are served here too, for applications that were written for it."""
    if manifest.holder == "api_entreprise":
        return (manifest.path,)
    return tuple(ways_to(manifest))


def grounds_of(manifest: Manifest) -> tuple[GroundKind, ...]:
    """On what an access may rest."""
    if manifest.subject == "company":
        return ("company",)
    # Accord's own door takes consent tokens; the other grounds are shown at the State's paths.
    modes = {way.mode for way in ways_to(manifest).values()}
    if not modes:
        return GROUNDS[:1]
    return GROUNDS if "france_connect" in modes else tuple(one for one in GROUNDS if one != "franceconnect")
