"""Schemathesis over a live server: no 5xx, no undocumented status, nothing outside the published contract."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.deployment import deployed

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(480)]

CASES = 2_000
EXAMPLES_EACH = 12

# A request whose head is over 32 KiB is refused with 431, which is a refusal like the others.
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422, 428, 431, "5xx"]

# What one dataset takes is in its own schemas, at /v1/datasets: a field of another's is refused.
[[operations]]
include-path = "/v1/data/{dataset}"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 429, "5xx"]
"""


def test_the_server_keeps_its_contract_over_two_thousand_cases(tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    with deployed(tmp_path / "world") as deployment:
        token = deployment.token().decode()
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{deployment.url}/openapi.yaml",
                "--url",
                deployment.url,
                "--header",
                f"Authorization: Bearer {token}",
                "--checks",
                "all",
                "--max-examples",
                str(EXAMPLES_EACH),
                "--seed",
                "20261124",
                "--workers",
                "2",
                "--no-color",
                "--continue-on-failure",
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=460,
            check=False,
        )
        verdict = deployment.verify()
    assert done.returncode == 0, done.stdout[-6000:]
    generated = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert generated is not None, done.stdout[-2000:]
    assert int(generated[1].replace(",", "")) >= CASES
    assert verdict.ok, verdict.findings
