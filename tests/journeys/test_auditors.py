"""A program of an auditor (a SIEM) on a running deployment: registered, let in, answered, written down, shown out."""

import io
import json
import re
import subprocess
import sys
import time

import httpx
import pytest

from audit.exports.verification import verify_export
from sandbox.servers import run_accord
from tests.journeys.deployment import Deployment

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def token(deployment: Deployment) -> str:
    return register(deployment, role="auditor")


def register(deployment: Deployment, *, role: str) -> str:
    """What the operator does: make a token, add the lines to the registry, load it."""
    command = [sys.executable, "-m", "exchange", "registry", "auditor-token", "--role", role]
    told = subprocess.run(command, cwd=deployment.world.folder, capture_output=True, text=True, check=True, timeout=60)
    made = re.search(r"not shown again: (\S+)", told.stderr)
    assert made is not None
    assert made[1] not in told.stdout
    registry = deployment.world.registry
    registry.write_text(registry.read_text() + "\n" + told.stdout)
    run_accord(["registry", "load", str(registry)], folder=deployment.world.folder)
    return made[1]


def ask(deployment: Deployment, path: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{deployment.url}/v1/audit/{path}", headers=headers, timeout=30, trust_env=False)


def test_a_program_reads_what_exchanges_left_and_its_reading_is_an_entry(deployment: Deployment, token: str) -> None:
    answered = deployment.exchange(deployment.token()).json()["meta"]
    _eventually_let_in(deployment, token)
    found = ask(deployment, f"accesses?request_id={answered['access_id']}", token).json()
    assert [one["index"] for one in found["accesses"]] == [answered["index"]]
    last = json.loads(deployment.entries()[-1])
    assert (last["kind"], last["act"], last["filter"]) == (
        "audit.query",
        "search",
        f"request_id={answered['access_id']}",
    )
    assert deployment.verify().ok


def test_its_export_and_its_feed_hold_the_access(deployment: Deployment, token: str) -> None:
    index = deployment.exchange(deployment.token()).json()["meta"]["index"]
    _eventually_let_in(deployment, token)
    archive = ask(deployment, "export?format=parquet", token).content
    manifest = verify_export(io.BytesIO(archive), deployment.keyring().log.vkey)
    assert manifest.count > index
    events = ask(deployment, f"events?after={index - 1}", token).text.splitlines()
    event = json.loads(events[0])
    assert (event["metadata"]["sequence"], event["activity_name"]) == (index, "Read")


def test_a_program_whose_lines_are_taken_out_is_shown_out_at_once(deployment: Deployment) -> None:
    leaving = register(deployment, role="operator")
    _eventually_let_in(deployment, leaving)
    registry = deployment.world.registry
    content = registry.read_text()
    registry.write_text(content[: content.rindex("[[auditor]]")])
    run_accord(["registry", "load", str(registry)], folder=deployment.world.folder)
    assert _eventually(lambda: ask(deployment, "accesses", leaving).status_code == 401)


def _eventually_let_in(deployment: Deployment, token: str) -> None:
    assert _eventually(lambda: ask(deployment, "accesses?limit=1", token).status_code == 200)


def _eventually(true) -> bool:

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False
