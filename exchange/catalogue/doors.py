"""By which doors a dataset is reached, and on what an access through them may rest. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from exchange.catalogue.schemas import company_numbers
from exchange.identify import PATH
from exchange.model import GroundKind
from providers.manifest import Manifest

DoorKind: TypeAlias = Literal["accord", "drop_in"]

PEERS = frozenset({"api_particulier", "api_entreprise"})
"""Holders whose own paths are served here too, for applications that were written for them."""
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
    own = Door("accord", PATH + manifest.dataset)
    return (own, Door("drop_in", manifest.path)) if manifest.holder in PEERS else (own,)


def grounds_of(manifest: Manifest) -> tuple[GroundKind, ...]:
    """On what an access may rest."""
    return ("company",) if manifest.subject == "company" else GROUNDS


def asks_for_a_company(manifest: Manifest) -> bool:
    """Whether a company's number, ``context`` and ``object`` have to be said."""
    return manifest.subject == "company" or bool(company_numbers(manifest))
