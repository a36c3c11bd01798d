"""The contract as this code defines it: a deployment made in a temporary folder is asked to describe itself."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from joserfc.jwk import ECKey, KeySet
from pydantic import SecretStr

from exchange.app import Accord
from exchange.catalogue.doors import doors_of
from exchange.database import migrate
from exchange.keyring import make_keyring
from exchange.settings import FranceConnectDataSettings, FranceConnectSettings, HolderSettings, Settings
from openapi.companies import CompanyDataset
from openapi.document import build, to_yaml
from providers.bundle import bundles
from providers.manifest import manifests
from providers.model import Manifest
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
            offered = _manifests_of(accord.datasets)
            return to_yaml(
                build(
                    accord.framework.openapi(),
                    {one.dataset: list(one.fields) for one in offered if one.subject == "citizen"},
                    companies=[_company(one) for one in offered if one.subject == "company"],
                    bundles={name: one.title["en"] for name, one in bundles().items()},
                    drop_in=[door.path for one in offered for door in doors_of(one) if door.kind == "drop_in"],
                )
            )
        finally:
            accord.close()


def _manifests_of(datasets: Datasets) -> list[Manifest]:
    return [found.manifest for name in datasets.ids() if (found := datasets.get(name)) is not None]


def _company(manifest: Manifest) -> CompanyDataset:
    return CompanyDataset(
        manifest.dataset, manifest.title["en"], tuple(manifest.fields), takes_siren="{siret}" not in manifest.path
    )


def _throwaway(folder: Path) -> Settings:
    nowhere = "http://localhost"
    holders = {manifest.holder for manifest in manifests().values()}
    keys = folder / "franceconnect.json"
    keys.write_text(json.dumps(KeySet([ECKey.generate_key("P-256")]).as_dict(private=True)))
    return Settings(
        issuer="https://accord.example",
        keys_dir=folder / "keys",
        database_url=f"sqlite:///{folder / 'accord.sqlite'}",
        franceconnect=FranceConnectSettings(issuer=nowhere, client_id="contract", client_secret=_SECRET),
        franceconnect_data=FranceConnectDataSettings(client_id="contract", client_secret=_SECRET, keys=keys),
        holders={name: HolderSettings(url=nowhere, token=_SECRET) for name in holders},
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own argument
    )
