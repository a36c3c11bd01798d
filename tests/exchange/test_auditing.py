"""What auditors' pages call things."""

from exchange.auditing import HumanNames
from providers.config import HolderConfig
from providers.registry import load


class _NoFeed:
    registry = None


def test_every_field_of_every_dataset_has_its_label_whatever_its_name_begins_with() -> None:
    datasets = load(
        {name: HolderConfig("http://127.0.0.1:9", "token") for name in ("api_particulier", "api_entreprise")}
    )
    names = HumanNames(_NoFeed(), datasets)  # type: ignore[arg-type]  # names of fields need no registry
    assert names.field("enfants.date_naissance", "fr") == "Date de naissance des enfants"
    for dataset in datasets.ids():
        offered = datasets.get(dataset)
        assert offered is not None
        assert all(names.field(field, "fr") and names.field(field, "en") for field in offered.manifest.fields)
    assert names.field("nobody.knows", "fr") is None
