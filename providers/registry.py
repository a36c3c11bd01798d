"""The datasets that this deployment offers: those of the catalogue whose holder is configured."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from providers.adapters.api_entreprise import ApiEntreprise
from providers.adapters.api_particulier import ApiParticulier
from providers.adapters.dgfip import Dgfip
from providers.config import HolderConfig
from providers.manifest import Manifest, ManifestError, manifests
from providers.port import Adapter, Answer, Query
from providers.transport import Transport

ADAPTERS: Mapping[str, Callable[[Manifest], Adapter]] = {
    "api_entreprise": ApiEntreprise,
    "api_particulier": ApiParticulier,
    "dgfip": Dgfip,
}
"""By name; a holder of that name needs not say it."""


class Dataset:
    """A dataset, its adapter and the transport to its holder."""

    def __init__(self, manifest: Manifest, transport: Transport) -> None:
        self.manifest = manifest
        self._adapter = ADAPTERS[manifest.adapter](manifest)
        self._transport = transport

    async def fetch(self, query: Query) -> Answer:
        """The holder's answer. Raises :class:`providers.errors.ProviderError`."""
        return await self._adapter.fetch(query, self._transport.send)


class Datasets:
    """Every dataset offered. :meth:`start` it in the event loop that will call."""

    def __init__(self, datasets: Mapping[str, Dataset], transports: Sequence[Transport]) -> None:
        self._datasets = dict(datasets)
        self._transports = transports

    def get(self, dataset: str) -> Dataset | None:
        """The dataset, if it is offered."""
        return self._datasets.get(dataset)

    def ids(self) -> list[str]:
        """The names of all, sorted."""
        return sorted(self._datasets)

    async def start(self) -> None:
        """Make the clients."""
        for transport in self._transports:
            await transport.start()

    async def close(self) -> None:
        """Let go of the connections."""
        for transport in self._transports:
            await transport.close()


def catalogue(folder: Path | None = None) -> Mapping[str, Manifest]:
    """Every manifest, each with an adapter there is. Raises :class:`providers.manifest.ManifestError`."""
    known = manifests(folder)
    faults = [fault for manifest in known.values() for fault in adapter_faults(manifest, name=manifest.dataset)]
    if faults:
        raise ManifestError(*faults)
    return known


def adapter_faults(manifest: Manifest, *, name: str) -> list[str]:
    """What is wrong with who speaks to the holder. ``name``: of the file."""
    if manifest.adapter in ADAPTERS:
        return []
    return [f"{name}: adapter: {manifest.adapter!r} is none of {', '.join(sorted(ADAPTERS))}"]


def load(holders: Mapping[str, HolderConfig]) -> Datasets:
    """The datasets of the holders configured."""
    transports = {name: Transport(name, config) for name, config in holders.items()}
    offered = {
        name: Dataset(manifest, transports[manifest.holder])
        for name, manifest in manifests().items()
        if manifest.holder in transports
    }
    return Datasets(offered, list(transports.values()))
