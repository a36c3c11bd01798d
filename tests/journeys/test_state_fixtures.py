"""The State's own test families, each through a whole exchange: log in, agree, ask, receive, verify."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.masking import apply_mask, compile_mask
from providers.manifest import manifests
from sandbox.api_particulier import load_families
from tests.journeys.citizen import authorize
from tests.journeys.deployment import Deployment, deployed
from tests.journeys.receipts import check_receipt

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

FOLDERS = (
    "api_particulier_v3_cnav_quotient_familial_with_civility",
    "api_particulier_v3_cnav_quotient_familial_with_france_connect",
)
CONSENTED = tuple(name for name in sorted(manifests()["quotient_familial"].fields) if not name.startswith("adresse."))


@pytest.fixture(scope="module", params=FOLDERS)
def deployment(
    request: pytest.FixtureRequest, reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    fixtures = reference / "api-particulier" / "fixtures" / request.param
    with deployed(tmp_path_factory.mktemp("state"), fixtures=fixtures, fields=CONSENTED) as running:
        yield running


def test_every_family_gets_the_status_and_the_value_of_its_fixture_and_one_entry(deployment: Deployment) -> None:
    families = deployment.world.sandbox.families
    assert len(families) >= 9
    for number, family in enumerate(families):
        token = authorize(deployment, person=number)
        before = len(deployment.entries())
        answer = deployment.exchange(token)
        body = answer.json()
        assert answer.status_code == family.status, family.description
        entries = [json.loads(entry) for entry in deployment.entries()[before:]]
        assert len(entries) == 1
        if family.status == 200:
            record = family.payload["data"]
            assert isinstance(record, dict)
            assert body["data"] == apply_mask(compile_mask(CONSENTED), record)
            assert "adresse" not in body["data"]
            assert (entries[0]["kind"], entries[0]["request_id"]) == ("access", body["meta"]["access_id"])
            check_receipt(deployment, entry=body["meta"]["entry"], receipt=body["meta"]["receipt"])
        else:
            assert "data" not in body
            assert entries[0]["kind"] == "failure"
            assert entries[0]["outcome"] == body["type"].rsplit("/", 1)[1]
    verdict = deployment.verify()
    assert verdict.ok, verdict.findings


def test_both_folders_are_replayed_whole(reference: Path) -> None:
    counted = [len(load_families(reference / "api-particulier" / "fixtures" / folder)) for folder in FOLDERS]
    files = [len(list((reference / "api-particulier" / "fixtures" / folder).glob("*.y*ml"))) for folder in FOLDERS]
    assert counted == files
