"""Killed at any moment: every answer a client received has its entry, and the server starts again by itself.

``ROUNDS`` says how often it is killed; ``make crash`` says 200.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.journeys.callers import calling, rounds
from tests.journeys.deployment import Deployment, deployed, workers_of

KILLS = 30

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(3_600)]


def test_every_answer_received_has_its_entry_however_often_the_server_is_killed(tmp_path: Path) -> None:
    began, kills = time.monotonic(), 0
    with deployed(tmp_path) as deployment:
        with calling(deployment) as callers:
            for _ in rounds(KILLS):
                time.sleep(random.uniform(0.02, 0.4))  # noqa: S311  # a moment, not a secret
                _kill_the_workers(deployment)
                _wait_until_ready(deployment)
                kills += 1
        assert callers.statuses() <= {200, 503}
        assert len(callers.released) > kills
        entries = callers.check(deployment.database_url)
        verdict = deployment.verify()
        assert verdict.ok, verdict.findings
        assert verdict.size == entries
    sys.stdout.write(
        f"\n{kills} kills of the server in {time.monotonic() - began:.0f} s: {len(callers.released)} answers with "
        f"data, each with its entry; {callers.broken} calls cut off; {entries} entries, which verify\n"
    )


def _kill_the_workers(deployment: Deployment) -> None:
    for pid in workers_of(deployment.process):
        os.kill(pid, signal.SIGKILL)


def _wait_until_ready(deployment: Deployment) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{deployment.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail("the server did not start again by itself")
