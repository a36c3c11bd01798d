"""Bundles: the datasets about one company that are asked for together, said once, in TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from providers.manifest import ManifestError, manifests
from providers.model import Labels, Manifest
from providers.toml_table import Table

_KEYS = frozenset({"bundle", "title", "datasets"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle; ``datasets`` in the order in which they are answered."""

    name: str
    title: Labels
    datasets: tuple[str, ...]


@lru_cache(maxsize=1)
def bundles() -> Mapping[str, Bundle]:
    """Every bundle by name. Raises :class:`providers.manifest.ManifestError`."""
    folder = resources.files("providers").joinpath("bundles")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    read = [parse_bundle(one.read_text("utf-8"), name=one.name, known=manifests()) for one in files]
    return {one.name: one for one in read}


def parse_bundle(content: str, *, name: str, known: Mapping[str, Manifest]) -> Bundle:
    """A bundle from its TOML. Raises :class:`providers.manifest.ManifestError` naming ``name`` and the key."""
    try:
        read = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{name}: {error}") from None
    faults: list[str] = []
    table = Table(read, name, faults, required=_KEYS, optional=frozenset())
    bundle = Bundle(table.text("bundle"), table.labels("title"), table.texts("datasets"))
    if not bundle.datasets or len(set(bundle.datasets)) < len(bundle.datasets):
        table.fault("datasets", "at least one, each once")
    for dataset in bundle.datasets:
        if dataset not in known or known[dataset].subject != "company":
            table.fault("datasets", f"{dataset!r} is not a dataset about companies")
    if faults:
        raise ManifestError(*faults)
    return bundle
