"""The contract as this code defines it: a deployment made in a temporary folder is asked to describe itself."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from exchange.app import Accord
from exchange.database import migrate
from exchange.keyring import make_keyring
from exchange.settings import FranceConnectSettings, HolderSettings, Settings
from openapi.document import build, to_yaml
from providers.manifest import manifests
from providers.registry import Datasets

# No one is called: the deployment is made to be looked at.
_SECRET = SecretStr("none")


def current_contract() -> str:
    """``accord.yaml`` as it should be, with every dataset of the catalogue offered."""
    with TemporaryDirectory() as folder:
        settings = _throwaway(Path(folder))
        make_keyring(settings.keys_dir, log_origin=settings.log_origin)
        migrate(settings.database_url)
        accord = Accord(settings)
        try:
            return to_yaml(build(accord.framework.openapi(), _fields_of(accord.datasets)))
        finally:
            accord.close()


def _fields_of(datasets: Datasets) -> dict[str, list[str]]:
    return {name: list(found.manifest.fields) for name in datasets.ids() if (found := datasets.get(name)) is not None}


def _throwaway(folder: Path) -> Settings:
    nowhere = "http://localhost"
    holders = {manifest.holder for manifest in manifests().values()}
    return Settings(
        issuer="https://accord.example",
        keys_dir=folder / "keys",
        database_url=f"sqlite:///{folder / 'accord.sqlite'}",
        franceconnect=FranceConnectSettings(issuer=nowhere, client_id="contract", client_secret=_SECRET),
        holders={name: HolderSettings(url=nowhere, token=_SECRET) for name in holders},
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own argument
    )
