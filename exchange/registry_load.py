"""``accord registry load``: a checked file into the database, whole or not at all."""

import time
from pathlib import Path

from exchange.database import open_engine
from exchange.holders import holder_configs
from exchange.registry import RegistryStore
from exchange.registry_file import RegistryFileError, parse_registry
from exchange.settings import Settings
from providers import registry as providers
from providers.manifest import ManifestError


def load_file(settings: Settings, path: Path) -> str:
    """Load it; a sentence for the operator. Raises :class:`RegistryFileError` with every fault."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryFileError([error.strerror or "cannot be read"]) from None
    try:
        datasets = providers.load(holder_configs(settings), folder=settings.manifests_dir)
    except ManifestError as error:
        raise RegistryFileError(error.errors) from None
    file = parse_registry(content, datasets)
    engine = open_engine(settings.database_url)
    try:
        version = RegistryStore(engine).replace(file, content=content, now=int(time.time()))
    finally:
        engine.dispose()
    return (
        f"Registry version {version}: {len(file.organisation)} organisations, {len(file.client)} applications, "
        f"{len(file.habilitation)} habilitations, {len(file.auditor)} auditors."
    )
