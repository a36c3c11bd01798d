"""The stand-in of API Particulier answers for every dataset of the catalogue, over one set of families."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from openapi.fields import Siret
from providers.config import HolderConfig
from providers.errors import ProviderError
from providers.manifest import manifests
from providers.port import Answer, Query
from providers.registry import Dataset, load
from sandbox.api_particulier import ADAPTER, Family, identity_of, load_families, router
from sandbox.records import login_of
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.enable_socket

_TOKEN = "holder-token"
_DATASETS = sorted(name for name, one in manifests().items() if one.adapter == ADAPTER)
_FAMILIES = load_families(REPOSITORY / "sandbox/families")
_STATES = "api-particulier/fixtures/api_particulier_v3_cnav_quotient_familial_with_civility"


@pytest.fixture(scope="module", params=["ours", "the State's"])
def served(request: pytest.FixtureRequest, reference: Path) -> Iterator[tuple[str, list[Family]]]:
    families = _FAMILIES if request.param == "ours" else load_families(reference / _STATES)
    app = FastAPI()
    app.include_router(router(families, _TOKEN))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", families
    server.should_exit = True
    thread.join(10)


def _query(dataset: Dataset, family: Family) -> Query:
    manifest = dataset.manifest
    values = {"identifiant": login_of(family.params), "anneeScolaire": "2026-2027"}
    parameters = {name: values[name] for name, one in manifest.parameters.items() if one.required}
    return Query(
        manifest.dataset,
        Siret("21990001600011"),
        "r",
        tuple(manifest.fields),
        identity_of(family),
        parameters=parameters,
    )


async def _ask(url: str, name: str, families: list[Family]) -> list[Answer | str]:
    datasets = load({"api_particulier": HolderConfig(url, _TOKEN, 5, allowance=1000)})
    await datasets.start()
    answers: list[Answer | str] = []
    try:
        dataset = datasets.get(name)
        assert dataset is not None
        for family in families:
            try:
                answers.append(await dataset.fetch(_query(dataset, family)))
            except ProviderError as error:
                answers.append(error.slug)
    finally:
        await datasets.close()
    return answers


@pytest.mark.parametrize("name", _DATASETS)
def test_every_family_is_answered_about_every_dataset_in_the_form_of_its_manifest(
    served: tuple[str, list[Family]], name: str
) -> None:
    url, families = served
    # Those whom an account's name tells apart, with the birthdate that an answer is held against.
    accounts = Counter(login_of(one.params) for one in families)
    told = [one for one in families if one.status == 200 and one.params.get("prenoms") and _is_born(one)]
    known = [one for one in told if accounts[login_of(one.params)] == 1]
    assert len(known) >= 3
    for family, answer in zip(known, asyncio.run(_ask(url, name, known)), strict=True):
        assert isinstance(answer, Answer), (name, family.description, answer)
        assert answer.record.keys() == {path.split(".")[0] for path in manifests()[name].fields}


def _is_born(family: Family) -> bool:
    return {"anneeDateNaissance", "moisDateNaissance", "jourDateNaissance"} <= family.params.keys()


def test_the_household_is_one_in_every_dataset(served: tuple[str, list[Family]]) -> None:
    url, families = served
    [family] = [next(one for one in families if one.status == 200 and one.payload["data"]["enfants"])]
    [answer] = asyncio.run(_ask(url, "participation_familiale_eaje", [family]))
    assert isinstance(answer, Answer)
    children = answer.record["enfants"]
    assert isinstance(children, list)
    told = [child["prenoms"] for child in family.payload["data"]["enfants"]]
    assert [child["prenoms"] for child in children] == told


@pytest.mark.parametrize("name", _DATASETS)
def test_who_is_unknown_or_meets_a_failure_does_so_in_every_dataset(
    served: tuple[str, list[Family]], name: str
) -> None:
    url, families = served
    failing = [one for one in families if one.status != 200 and one.params.get("prenoms") and _is_born(one)]
    assert failing
    expected = {404: "citizen_unknown_to_holder", 502: "holder_failed"}
    assert asyncio.run(_ask(url, name, failing)) == [expected[one.status] for one in failing]
