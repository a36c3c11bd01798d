"""``/privileges`` of API Entreprise: what an application's token opens, in the State's own scopes. Pure."""

from collections.abc import Iterable

from consent.model import Client
from exchange.model import Habilitation, Registry
from openapi.fields import Siret
from providers.registry import Dataset

PATHS = frozenset({"/privileges", "/v2/privileges"})


def privileges(client: Client, datasets: Iterable[Dataset], registry: Registry, *, now: float) -> list[str]:
    """The scopes of each dataset that a habilitation in force opens, to its own organisation or under a delegation."""
    found: set[str] = set()
    for one in datasets:
        name = one.manifest.dataset
        if any(
            _opens(habilitation, client, now)
            for organisation in _organisations(client, name, registry, now)
            for habilitation in registry.habilitations.get((organisation, name), ())
        ):
            found.update(one.manifest.scopes)
    return sorted(found)


def _organisations(client: Client, dataset: str, registry: Registry, now: float) -> Iterable[Siret]:
    yield client.organisation
    for one in registry.delegations.values():
        covers = not one.datasets or dataset in one.datasets
        if covers and one.delegate == client.organisation and one.valid_from <= now < one.valid_until:
            yield one.organisation


def _opens(habilitation: Habilitation, client: Client, now: float) -> bool:
    return (
        "company" in habilitation.grounds
        and (not habilitation.clients or client.client_id in habilitation.clients)
        and habilitation.valid_from <= now < habilitation.valid_until
    )
