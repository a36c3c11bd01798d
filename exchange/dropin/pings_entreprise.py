"""API Entreprise's pings: how each data provider answered last, as far as it was asked through this process.

``/pings`` lists them; ``/ping/{provider}`` answers 200 where the provider is well or nothing is known, 502 where it
failed, 404 where nobody is of that name. Public, as the State's; no provider is called because somebody looks.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources

from exchange.dropin.company_paths import below_version
from exchange.dropin.door import Page
from exchange.dropin.pulse import Pulse, Seen
from providers.registry import Dataset

PING = "/ping/"
LIST = "/pings"

_HEALTHY = frozenset({"ok", "unknown", "maintenance"})


class Pings:
    """The providers of the datasets that this deployment offers."""

    def __init__(self, datasets: Iterable[Dataset], *, pulse: Pulse, base: str) -> None:
        paths = {one.manifest.dataset: below_version(one.manifest.path) for one in datasets}
        self._datasets = {
            name: offered
            for name, row in _table().items()
            if (offered := [dataset for dataset, path in paths.items() if path.startswith(row["path"])])
        }
        self._pulse = pulse
        self._base = base

    def list(self) -> Page:
        """Name and address of each."""
        return Page([{"name": _table()[name]["name"], "url": f"{self._base}{PING}{name}"} for name in self._datasets])

    def of(self, name: str, *, now: float) -> Page:
        """One provider's health. ``now``: Unix seconds."""
        datasets = self._datasets.get(name)
        if datasets is None:
            return Page({}, 404)
        seen = max((self._pulse.of(one) for one in datasets), key=lambda one: one.at)
        document = {
            "status": seen.health,
            "last_update": _iso(seen.at or now),
            "last_ok_status": _last_ok(seen),
        }
        return Page(document, 200 if seen.health in _HEALTHY else 502)


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(resources.files("exchange.dropin").joinpath("pings_entreprise.toml").read_text("utf-8"))


def _last_ok(seen: Seen) -> str | None:
    return _iso(seen.ok_at) if seen.ok_at else None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
