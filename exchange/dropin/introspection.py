"""``/api/introspect``: what an application may ask for, as API Particulier says it. Pure."""

from collections.abc import Iterable

from consent.model import Client
from exchange.dropin.scopes import scopes_of
from exchange.model import Habilitation, Registry
from openapi.fields import Siret
from providers.model import Manifest


def rights_of(client: Client, manifests: Iterable[Manifest], registry: Registry, *, now: float) -> dict[str, object]:
    """``{_id, name, scopes}``: the scopes of every habilitation in force, its organisation's or one that delegates."""
    scopes = [
        scope
        for manifest in manifests
        for one in _habilitations(client, manifest.dataset, registry, now)
        for scope in scopes_of(manifest, one.fields)
    ]
    return {"_id": client.client_id, "name": client.name, "scopes": list(dict.fromkeys(scopes))}


def _habilitations(client: Client, dataset: str, registry: Registry, now: float) -> Iterable[Habilitation]:
    for organisation in _organisations(client, dataset, registry, now):
        for one in registry.habilitations.get((organisation, dataset), ()):
            if one.valid_from <= now < one.valid_until and (not one.clients or client.client_id in one.clients):
                yield one


def _organisations(client: Client, dataset: str, registry: Registry, now: float) -> Iterable[Siret]:
    yield client.organisation
    for one in registry.delegations.values():
        is_in_force = one.valid_from <= now < one.valid_until
        if one.delegate == client.organisation and is_in_force and (not one.datasets or dataset in one.datasets):
            yield one.organisation
