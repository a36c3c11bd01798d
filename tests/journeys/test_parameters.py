"""A holder that knows people by the name of an account: the answer is the agreeing citizen's, or there is none."""

import json
from collections.abc import Iterator

import httpx
import pytest

from sandbox.records import login_of
from tests.journeys.citizen import authorize
from tests.journeys.deployment import Deployment, deployed

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]

FIELDS = ("inscription.categorie.libelle", "inscription.date_debut")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    world = tmp_path_factory.mktemp("jobs")
    with deployed(world, dataset="demandeur_emploi", fields=FIELDS) as running:
        yield running


def _login(deployment: Deployment, person: int) -> str:
    return login_of(deployment.world.sandbox.families[person].params)


def _post(deployment: Deployment, token: str, login: str) -> httpx.Response:
    return httpx.post(
        f"{deployment.url}/v1/data/demandeur_emploi",
        headers={"Authorization": f"Bearer {token}"},
        json={"parameters": {"identifiant": login}},
        trust_env=False,
        timeout=20,
    )


def test_only_her_own_account_is_answered_and_its_name_stays_out_of_log_and_entries(deployment: Deployment) -> None:
    token, hers, another = authorize(deployment, person=0), _login(deployment, 0), _login(deployment, 1)
    answer = _post(deployment, token, hers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["inscription"].keys() == {"categorie", "date_debut"}
    assert answer.json()["data"].keys() == {"inscription"}

    refused = _post(deployment, authorize(deployment, person=0), another)
    assert refused.json()["type"].endswith("/citizen_not_identified")
    assert another not in refused.text

    in_url = httpx.get(
        f"{deployment.url}/v1/data/demandeur_emploi",
        params={"identifiant": hers},
        headers={"Authorization": f"Bearer {authorize(deployment, person=0)}"},
        trust_env=False,
        timeout=20,
    )
    assert (in_url.status_code, in_url.json()["type"].rsplit("/", 1)[1]) == (400, "request_malformed")

    entries = [json.loads(entry) for entry in deployment.entries()]
    outcomes = [entry["outcome"] for entry in entries if entry["kind"] in ("access", "failure", "refusal")]
    assert outcomes == ["ok", "citizen_not_identified", "request_malformed"]
    written = "\n".join(deployment.entries()) + (deployment.world.folder / "accord.log").read_text()
    assert hers not in written
    assert another not in written
    assert deployment.verify().ok
