"""Killed at any moment: every answer a client received has its entry, and the server starts again by itself.

``ROUNDS`` says how often it is killed, on both engines together; ``make crash`` says 200.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.journeys.callers import SUITE_SECONDS, calling, rounds
from tests.journeys.deployment import Deployment, deployed, workers_of
from tests.postgres import postgresql_database

KILLS = 30

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(3_600)]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_every_answer_received_has_its_entry_however_often_the_server_is_killed(tmp_path: Path, engine: str) -> None:
    """On PostgreSQL two processes serve, and one of them may go on while the other dies."""
    began, kills = time.monotonic(), 0
    with ExitStack() as life:
        settings = {}
        if engine == "postgresql":
            settings = {"ACCORD_DATABASE_URL": life.enter_context(postgresql_database()), "ACCORD_WORKERS": "2"}
        deployment = life.enter_context(deployed(tmp_path, settings=settings))
        with calling(deployment) as callers:
            for _ in _half_of_the_rounds():
                time.sleep(random.uniform(0.02, 0.4))  # noqa: S311  # a moment, not a secret
                kills += _kill_workers(deployment)
                _wait_until_ready(deployment)
                callers.wait_for(1, seconds=30)
        assert kills
        assert callers.statuses() <= {200, 503}
        entries = callers.check(deployment.database_url)
        verdict = deployment.verify()
        assert verdict.ok, verdict.findings
        assert verdict.size == entries
    sys.stdout.write(
        f"\n{kills} kills of a worker on {engine} in {time.monotonic() - began:.0f} s: {len(callers.released)} answers "
        f"with data, each with its entry; {callers.broken} calls cut off; {entries} entries, which verify\n"
    )


def _half_of_the_rounds() -> Iterator[int]:
    """Half as many, in half the time: the other engine has the other half."""
    end = time.monotonic() + SUITE_SECONDS / 2
    for number in rounds(KILLS):
        if number % 2 == 0 and ("ROUNDS" in os.environ or time.monotonic() < end):
            yield number


def _kill_workers(deployment: Deployment) -> int:
    """One or more of them at once; how many."""
    workers = workers_of(deployment.process)
    some = random.sample(workers, random.randint(1, len(workers))) if workers else []  # noqa: S311  # idem
    for pid in some:
        os.kill(pid, signal.SIGKILL)
    return len(some)


def _wait_until_ready(deployment: Deployment) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{deployment.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail("the server did not start again by itself")
