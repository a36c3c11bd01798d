"""The datasets that this deployment offers: those of the catalogue whose holder is configured."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from providers.adapters.api_entreprise import ApiEntreprise
from providers.adapters.api_particulier import ApiParticulier
from providers.adapters.dgfip import Dgfip
from providers.cache import Cache, Stands
from providers.config import HolderConfig
from providers.guard import Guard
from providers.manifest import ManifestError, manifests
from providers.model import Manifest
from providers.port import Adapter, Answer, Query
from providers.rate import Rate, strictest
from providers.transport import Tell, Transport

ADAPTERS: Mapping[str, Callable[[Manifest], Adapter]] = {
    "api_entreprise": ApiEntreprise,
    "api_particulier": ApiParticulier,
    "dgfip": Dgfip,
}
"""By name; a holder of that name needs not say it."""


SWEEP_SECONDS = 1.0
"""Between two looks at what is kept, while anything is."""


class Dataset:
    """A dataset, what guards its holder, and the answers that may be kept."""

    def __init__(self, manifest: Manifest, guard: Guard, cache: Cache | None = None) -> None:
        self.manifest = manifest
        self._guard = guard
        self._cache = cache if manifest.cache_seconds else None
        self._is_sweeping = False

    async def fetch(self, query: Query) -> Answer:
        """The holder's answer, kept or new. Raises :class:`providers.errors.ProviderError`."""
        if self._cache is None:
            return await self._guard.ask(query)
        if (kept := self._cache.take(query)) is not None:
            return kept
        answer = await self._guard.ask(query)
        if self._cache.keep(query, answer, self.manifest.cache_seconds) and not self._is_sweeping:
            self._sweep_later(asyncio.get_running_loop(), self._cache)
        return answer

    def _sweep_later(self, loop: asyncio.AbstractEventLoop, cache: Cache) -> None:
        self._is_sweeping = True
        loop.call_later(SWEEP_SECONDS, self._sweep, loop, cache)

    def _sweep(self, loop: asyncio.AbstractEventLoop, cache: Cache) -> None:
        """What is over leaves the memory, though nobody asks for it."""
        cache.expire()
        self._is_sweeping = False
        if len(cache):
            self._sweep_later(loop, cache)


class Datasets:
    """Every dataset offered. :meth:`start` it in the event loop that will call."""

    def __init__(self, datasets: Mapping[str, Dataset], transports: Sequence[Transport], cache: Cache) -> None:
        self._datasets = dict(datasets)
        self._transports = transports
        self._cache = cache

    def get(self, dataset: str) -> Dataset | None:
        """The dataset, if it is offered."""
        return self._datasets.get(dataset)

    def ids(self) -> list[str]:
        """The names of all, sorted."""
        return sorted(self._datasets)

    def forget(self, status_index: int) -> None:
        """An authorisation ended: nothing is kept about its citizen when this returns. From any thread."""
        self._cache.forget(status_index)

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


def load(
    holders: Mapping[str, HolderConfig],
    *,
    folder: Path | None = None,
    stands: Stands = lambda _index: False,
    tell: Tell = lambda _word, _what, _seconds: None,
) -> Datasets:
    """The datasets of the holders configured. Raises :class:`providers.manifest.ManifestError`.

    ``folder``: of an operator's own manifests. ``stands``: whether an authorisation stands; without it nothing is kept
    about citizens. ``tell``: hears when a holder or a dataset is cut off and when it is back.
    """
    transports = {name: Transport(name, config, tell=tell) for name, config in holders.items()}
    offered = [one for one in catalogue(folder).values() if one.holder in holders]
    rates = _rates(offered, holders)
    cache = Cache(stands=stands)

    def dataset(manifest: Manifest) -> Dataset:
        guard = Guard(
            manifest,
            ADAPTERS[manifest.adapter](manifest),
            transports[manifest.holder],
            rate=rates[_group(manifest)],
            allowance=holders[manifest.holder].allowance,
            tell=tell,
        )
        return Dataset(manifest, guard, cache)

    return Datasets({one.dataset: dataset(one) for one in offered}, list(transports.values()), cache)


def _rates(offered: Sequence[Manifest], holders: Mapping[str, HolderConfig]) -> dict[tuple[str, str], Rate]:
    """One for each group of a holder's datasets."""
    groups: dict[tuple[str, str], list[Manifest]] = {}
    for manifest in offered:
        groups.setdefault(_group(manifest), []).append(manifest)
    return {
        (holder, group): Rate(strictest(one.limits for one in members), allowance=holders[holder].allowance)
        for (holder, group), members in groups.items()
    }


def _group(manifest: Manifest) -> tuple[str, str]:
    # A dataset's own cannot be taken for a group of that name.
    group = manifest.limits.group
    return manifest.holder, f"group:{group}" if group else f"dataset:{manifest.dataset}"
