"""What an auditor is offered to choose from: what the registry and the manifests say now, never what the log holds.

An auditor of one organisation is offered no more than what is said of that one. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from audit.model import ALREADY_SPENT, GRANT_CLOSED
from exchange.model import Habilitation, Registry
from openapi.fields import Siret
from openapi.problem import problems
from providers.model import Manifest

Manifests: TypeAlias = Mapping[str, Manifest]
"""Of the datasets offered here, by name."""


def choices(
    parameter: str, registry: Registry, manifests: Manifests, *, organisation: Siret | None = None
) -> Collection[str]:
    """Values of a parameter of :class:`audit.filters.Filter`; none for those that have no few. ``None``: everyone's."""
    if parameter == "outcome":
        return {"ok", ALREADY_SPENT, GRANT_CLOSED, *problems()}
    said = _EVERYWHERE if organisation is None else _OF_ONE
    whose = registry if organisation is None else _only(registry, organisation)
    return set(said[parameter](whose, manifests)) if parameter in said else ()


def _only(registry: Registry, organisation: Siret) -> Registry:
    """What the registry says of one organisation: also which applications of others ask for it under a habilitation."""
    habilitations = {key: held for key, held in registry.habilitations.items() if key[0] == organisation}
    named = {client for held in habilitations.values() for one in held for client in one.clients}
    return Registry(
        registry.version,
        {organisation: registry.organisations.get(organisation, "")},
        {
            name: client
            for name, client in registry.clients.items()
            if client.organisation == organisation or name in named
        },
        habilitations,
        delegations={name: one for name, one in registry.delegations.items() if one.organisation == organisation},
    )


def _habilitations(registry: Registry) -> Iterable[Habilitation]:
    return (one for held in registry.habilitations.values() for one in held)


_Said: TypeAlias = Mapping[str, Callable[[Registry, Manifests], Iterable[str]]]

_EVERYWHERE: _Said = {
    "organisation": lambda registry, _: registry.organisations,
    "delegate": lambda registry, _: (one.delegate for one in registry.delegations.values()),
    "application": lambda registry, _: registry.clients,
    "dataset": lambda _, manifests: manifests,
    "field": lambda _, manifests: (field for one in manifests.values() for field in one.fields),
    "purpose": lambda registry, _: (purpose for one in _habilitations(registry) for purpose in one.purposes),
    "legal_basis": lambda registry, _: (one.legal_basis for one in _habilitations(registry)),
    "provider": lambda _, manifests: (one.holder for one in manifests.values()),
}
_OF_ONE: _Said = {
    **_EVERYWHERE,
    "dataset": lambda registry, _: (one.dataset for one in _habilitations(registry)),
    "field": lambda registry, _: (field for one in _habilitations(registry) for field in one.answerable),
    "provider": lambda registry, manifests: (
        manifests[one.dataset].holder for one in _habilitations(registry) if one.dataset in manifests
    ),
}
