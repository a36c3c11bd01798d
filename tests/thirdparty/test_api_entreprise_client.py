"""PyPI's ``api-entreprise`` 31.0.1, unmodified, works against a whole deployment of Accord.

The package and all that it needs are the ones on PyPI, by their hashes, in a folder of their own; it runs in a process
of its own, told only another base URL and another token than the State's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import TOWN_SIRET
from tests.conftest import skip_unless_ci
from tests.journeys.companies import CompanyWorld, asking_about_companies
from tests.state_companies import CROIX_ROUGE, NOBODY

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(300)]

PACKAGES = """\
api-entreprise==31.0.1 --hash=sha256:898b57a55f2aca111cadc3996befb06436d51996d87d7079b3c3d53d0392db54
certifi==2026.10.19.post1 --hash=sha256:1324c476b4811eff41a8bc2122cd0bbd4d9c7234c725446d99ab1612b3a7fdd2
charset-normalizer==3.5.3 --hash=sha256:96e268b0cbda016ac519513294fcd17032264085b600abaac58b93049477e132
idna==3.20 --hash=sha256:ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c
marshmallow==3.26.2 --hash=sha256:013fa8a3c4c276c24d26d84ce934dc964e2aa794345a0f8c7e5a7191482c8a73
marshmallow-dataclass==8.7.1 --hash=sha256:405cbaaad9cea56b3de2f85eff32a9880e3bf849f652e7f6de7395e4b1ddc072
mypy-extensions==1.2.0 --hash=sha256:993e7a20aa5671eb41a7132cf555af30062da99729601601b9a8382b11cae768
packaging==26.4 --hash=sha256:81383611a09c1bc0b08b76e0fd5829d7c6824c65b27a6aee339da133f4233ea2
requests==2.34.2 --hash=sha256:2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0
typeguard==4.6.1 --hash=sha256:aca1f365124873d5325b18aad1a3689d62f7184abe32d899413562cf51729d02
typing-extensions==4.16.0 --hash=sha256:481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8
typing-inspect==0.9.0 --hash=sha256:9ee6fc59062311ef8547596ab6b955e1b8aa46242d854bfc78f4f6b0eff35f9f
urllib3==2.8.0 --hash=sha256:0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3
"""
INSTALL_SECONDS = 90.0
CALLS = Path(__file__).with_name("api_entreprise_calls.py")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is."""
    folder = tmp_path_factory.mktemp("api-entreprise")
    (folder / "requirements.txt").write_text(PACKAGES)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--target", str(folder / "lib"), "-r", "requirements.txt"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        skip_unless_ci(f"pip did not end within {INSTALL_SECONDS:.0f} s")
        raise
    if done.returncode != 0:
        skip_unless_ci(f"pip failed: {done.stderr[-500:]}")
    return folder / "lib"


@pytest.fixture(scope="module")
def world(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyWorld]:
    with asking_about_companies(tmp_path_factory.mktemp("entreprise"), reference) as running:
        yield running


@pytest.fixture(scope="module")
def told(library: Path, world: CompanyWorld) -> Mapping[str, Any]:
    """What the library made of Accord's answers."""
    arguments = [world.deployment.url, world.token, TOWN_SIRET, CROIX_ROUGE, NOBODY, world.editors]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-S", str(CALLS), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**environment, "PYTHONPATH": str(library)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_it_reads_an_establishment(told: Mapping[str, Any]) -> None:
    assert told["siret"] == CROIX_ROUGE
    assert told["raison_sociale"] == "CROIX ROUGE FRANCAISE"
    assert told["naf"] == "88.99B"
    assert told["adresse"] == "98 RUE DIDOT  75694 PARIS CEDEX 14 FRANCE"


def test_it_reads_a_list(told: Mapping[str, Any]) -> None:
    assert told["chiffres"] == [900_001, 812_345.5]


def test_what_is_not_found_is_none_to_it(told: Mapping[str, Any]) -> None:
    assert (told["nobody"], told["no_turnover"]) == (None, None)


def test_it_reads_the_health_of_a_provider(told: Mapping[str, Any]) -> None:
    status, update, ok = told["health"]
    assert status == "ok"
    assert update == ok
    assert told["unknown_provider"] == {}


def test_it_reads_the_code_of_each_refusal(told: Mapping[str, Any]) -> None:
    assert told["bad_token"] == ["00101"]
    assert told["bad_recipient"] == ["00210"]
    assert told["bad_siret"] == ["00302"]
    assert told["not_habilitated"] == ["00100"]


def test_over_the_limit_it_is_told_how_long_to_wait(told: Mapping[str, Any]) -> None:
    delay, at = told["delay"]
    # Until the next minute begins. Without Retry-After the library would say 60, whenever it was.
    assert abs(60 - at % 60 - delay) <= 2


def test_every_call_of_it_has_its_entry(told: Mapping[str, Any], world: CompanyWorld) -> None:
    entries = [json.loads(entry) for entry in world.deployment.entries()]
    outcomes = [entry["outcome"] for entry in entries if entry.get("client") in {"marches-publics", "editeur"}]
    assert outcomes.count("ok") == 2
    assert outcomes.count("company_unknown_to_holder") == 2
    assert outcomes.count("delegation_missing") >= 200
    verdict = world.deployment.verify()
    assert verdict.ok, verdict.findings
