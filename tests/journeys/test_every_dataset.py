"""Every citizen dataset of API Particulier through a deployment: only what was agreed to leaves, with an entry."""

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from providers.manifest import manifests
from providers.model import Manifest
from sandbox.records import login_of
from sandbox.world import World
from tests.journeys.deployment import Deployment, deployed, load_registry

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]

_MANIFESTS = {name: one for name, one in manifests().items() if one.holder == "api_particulier"}
_PURPOSE = "tarification_creche"


def _habilitate(world: World) -> None:
    """The town may ask for one half of the fields of each dataset."""
    today = datetime.now(UTC).date()
    entries = [world.registry.read_text(encoding="utf-8")]
    there = {one["dataset"] for one in tomllib.loads(entries[0])["habilitation"]}
    for name, manifest in _MANIFESTS.items():
        if name not in there:
            entries.append(f"""
[[habilitation]]
id = "{name}"
organisation = "{world.sandbox.portal.recipient}"
clients = ["{world.sandbox.portal.client_id}"]
dataset = "{name}"
fields = {json.dumps(_half(manifest))}
legal_basis = "consent"
valid_from = {today - timedelta(days=1)}
valid_until = {today + timedelta(days=9)}
purposes = [{{ code = "{_PURPOSE}", fr = "Un motif", en = "A reason" }}]
""")
    world.registry.write_text("".join(entries), encoding="utf-8")
    load_registry(world)


def _half(manifest: Manifest) -> list[str]:
    if manifest.dataset == "quotient_familial":
        return ["quotient_familial.valeur", "quotient_familial.mois"]
    return sorted(manifest.fields)[::2]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("town"), before=_habilitate) as running:
        yield running


def _leaves(value: object, above: str = "") -> set[str]:
    if isinstance(value, dict):
        return {leaf for name, inner in value.items() for leaf in _leaves(inner, f"{above}{name}.")}
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return {leaf for one in value for leaf in _leaves(one, above)}
    return {above.removesuffix(".")}


def _ask(deployment: Deployment, name: str, fields: list[str]) -> httpx.Response:
    manifest = _MANIFESTS[name]
    family = deployment.world.sandbox.families[0]
    values = {"identifiant": login_of(family.params), "anneeScolaire": "2026-2027"}
    detail = {"type": f"urn:accord:{name}", "datatypes": fields, "purpose": _PURPOSE}
    return httpx.post(
        f"{deployment.url}/v1/data/{name}",
        headers={"Authorization": f"Bearer {deployment.token(detail=detail).decode()}"},
        json={"parameters": {one: values[one] for one, told in manifest.parameters.items() if told.required}},
        trust_env=False,
        timeout=20,
    )


@pytest.mark.parametrize("name", sorted(_MANIFESTS))
def test_what_was_agreed_to_leaves_and_nothing_else_with_its_entry(deployment: Deployment, name: str) -> None:
    fields = _half(_MANIFESTS[name])
    before = len(deployment.entries())
    answer = _ask(deployment, name, fields)
    assert answer.status_code == 200, answer.text
    assert _leaves(answer.json()["data"]) == set(fields)
    [entry] = [json.loads(one) for one in deployment.entries()[before:]]
    assert (entry["kind"], entry["dataset"], entry["outcome"]) == ("access", name, "ok")
    assert sorted(entry["fields"]) == sorted(fields)


def test_a_field_beyond_the_habilitation_is_refused_in_every_dataset(deployment: Deployment) -> None:
    for name, manifest in _MANIFESTS.items():
        beyond = min(manifest.fields.keys() - set(_half(manifest)))
        refused = _ask(deployment, name, [beyond])
        assert refused.json()["type"].endswith("/field_not_habilitated"), (name, beyond)


def test_nothing_of_the_household_is_in_the_log(deployment: Deployment) -> None:
    params = deployment.world.sandbox.families[0].params
    written = "\n".join(deployment.entries()) + (deployment.world.folder / "accord.log").read_text(encoding="utf-8")
    assert len(deployment.entries()) >= 2 * len(_MANIFESTS)
    for word in (str(params["nomNaissance"]), login_of(params), *map(str, params["prenoms"])):
        assert word.lower() not in written.lower()
    assert deployment.verify().ok
