"""A dataset and a holder that no code has seen, added by a manifest alone: from an OpenAPI file to the log's entry."""

import asyncio
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from exchange.registry_file import RegistryFileError
from sandbox.browser import Browser
from sandbox.portail_famille.accord import Accord
from sandbox.servers import ServerFailed, run_accord
from tests.conftest import REPOSITORY
from tests.invented_holder import OPENAPI, PATH
from tests.journeys.citizen import authorize, log_in
from tests.journeys.deployment import Deployment, deployed

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]

HOLDER = "region_imaginaire"
DATASET = "carte_transport_regionale"
FIELDS = ("carte.est_valide", "carte.date_fin_validite", "trajets.zones")
_WORDS = {
    'provider = { fr = "TODO: whose data it is", en = "TODO: whose data it is" }': (
        'provider = { fr = "Région imaginaire", en = "Imaginary region" }'
    ),
    "TODO: Carte de transport régionale": "Regional travel card",
    "TODO: Réseau de transport": "Transport network",
    "TODO: Fin de validité de la carte": "Last day of the card",
    "TODO: Carte valide": "Whether the card is valid",
    "TODO: Formule d'abonnement": "Kind of subscription",
    "TODO: Ligne empruntée": "Line taken",
    "TODO: Zones traversées": "Zones crossed",
}


def _command(verb: str) -> list[str]:
    """A command of CONTRIBUTING's "Add a dataset", with names in the place of its words."""
    section = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add a dataset")[1].split("## ")[0]
    [command] = re.findall(rf"`accord (providers {verb} [^`]+)`", section)
    words = {"HOLDER.yaml": "holder.yaml", "/PATH": PATH, "FOLDER": "datasets", "DATASET": DATASET, "NAME": HOLDER}
    for word, name in words.items():
        command = command.replace(word, name)
    return command.split()


def _draft(folder: Path) -> Path:
    """What ``accord providers new`` writes of the holder's file."""
    manifest = folder / "datasets" / f"{DATASET}.toml"
    (folder / "holder.yaml").write_text(OPENAPI, encoding="utf-8")
    manifest.parent.mkdir()
    run_accord([*_command("new"), "--holder", HOLDER, "--adapter", "api_particulier"], folder=folder)
    return manifest


def _finish(manifest: Path) -> None:
    """What a person writes: the words."""
    text = manifest.read_text(encoding="utf-8")
    for todo, words in _WORDS.items():
        assert todo in text, todo
        text = text.replace(todo, words)
    manifest.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("region")
    manifest = _draft(folder)
    _finish(manifest)
    run_accord(_command("check"), folder=folder)
    with deployed(folder / "world", dataset=DATASET, manifests=manifest.parent, fields=FIELDS) as running:
        yield running


def test_the_code_has_never_seen_it() -> None:
    code = [
        file
        for package in ("exchange", "consent", "providers", "audit", "openapi", "sandbox")
        for file in (REPOSITORY / package).rglob("*")
        if file.suffix in (".py", ".toml", ".html", ".yaml")
    ]
    assert len(code) > 100
    assert not any(word in file.read_text(encoding="utf-8") for file in code for word in (DATASET, HOLDER, "trajets"))


def test_the_catalogue_lists_it(deployment: Deployment) -> None:
    listed = httpx.get(f"{deployment.url}/v1/datasets", trust_env=False, timeout=10).json()["datasets"]
    [found] = [one for one in listed if one["dataset"] == DATASET]
    assert found["title"] == {"fr": "Carte de transport régionale", "en": "Regional travel card"}
    assert {one["name"] for one in found["fields"]} >= set(FIELDS)


def test_anybody_finds_it_by_the_words_of_a_field_and_reads_what_it_is(deployment: Deployment) -> None:
    found = httpx.get(f"{deployment.url}/catalogue?q=zones+traversees", trust_env=False, timeout=10).text
    assert f'"/catalogue/{DATASET}"' in found
    page = httpx.get(f"{deployment.url}/catalogue/{DATASET}", trust_env=False, timeout=10).text
    for words in ("Carte de transport régionale", "Région imaginaire", *FIELDS):
        assert words in page


def test_the_citizen_reads_its_labels_before_she_agrees(deployment: Deployment) -> None:
    departure = asyncio.run(Accord(deployment.world.sandbox.portal).request_authorization())
    with Browser() as browser:
        screen = log_in(deployment, browser, browser.open(departure.url), person=0).text
    for words in ("Carte de transport régionale", "Région imaginaire", "Carte valide", "Zones traversées"):
        assert words in screen
    assert "Formule" not in screen
    assert "TODO" not in screen


def test_an_exchange_returns_what_was_agreed_to_alone_and_its_entry_names_it(deployment: Deployment) -> None:
    token = authorize(deployment, person=0)
    before = len(deployment.entries())
    answer = httpx.get(
        f"{deployment.url}/v1/data/{DATASET}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {
        "carte": {"est_valide": True, "date_fin_validite": "2027-08-31"},
        "trajets": {"zones": [1]},
    }
    published = f"{deployment.url}/v1/datasets/{DATASET}/schemas/answer"
    Draft202012Validator(httpx.get(published, trust_env=False, timeout=10).json()).validate(answer.json())
    [entry] = [json.loads(one) for one in deployment.entries()[before:]]
    assert (entry["kind"], entry["dataset"], entry["outcome"]) == ("access", DATASET, "ok")
    assert sorted(entry["fields"]) == sorted(FIELDS)
    assert entry["provider"] == HOLDER
    with Browser() as browser:
        accesses = log_in(deployment, browser, browser.open(f"{deployment.url}/mes-acces"), person=0).text
    assert "Carte de transport régionale" in accesses
    assert deployment.verify().ok


def test_a_draft_that_nobody_finished_refuses_the_start_and_is_named(tmp_path: Path) -> None:
    manifest = _draft(tmp_path)
    assert tomllib.loads(manifest.read_text(encoding="utf-8"))["path"] == PATH
    drafts = {"ACCORD_MANIFESTS_DIR": str(manifest.parent)}
    with pytest.raises(RegistryFileError) as loaded, deployed(tmp_path / "world", settings=drafts):
        pass
    with pytest.raises(ServerFailed) as started:
        run_accord(["serve"], folder=tmp_path / "world")
    for refused in (loaded, started):
        assert f"{DATASET}.toml: provider.fr" in str(refused.value)
