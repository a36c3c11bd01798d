"""PostgreSQL killed or stopped under load: nothing is lost, and Accord goes on without being started again.

``ROUNDS`` says how often it is killed; ``make crash`` says 200.
"""

import os
import random
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from sandbox.servers import LOG_FILE
from tests.journeys.callers import CALLERS, Callers, calling, rounds
from tests.journeys.deployment import Deployment, deployed, workers_of
from tests.postgresql_server import PostgresqlServer, postgresql_server

KILLS = 15
REFUSED_WITHIN = 10.0
"""Seconds within which every caller is answered, whatever the database does: twice what the log may take."""
GOES_ON_WITHIN = 30.0

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(3_600)]


def test_every_answer_received_has_its_entry_however_often_postgresql_is_killed(tmp_path: Path) -> None:
    began, kills = time.monotonic(), 0
    with postgresql_server() as server:
        settings = {"ACCORD_DATABASE_URL": server.url, "ACCORD_WORKERS": "2"}
        with deployed(tmp_path, settings=settings) as deployment:
            workers = _both_ready(deployment)
            with calling(deployment) as callers:
                for _ in rounds(KILLS):
                    time.sleep(random.uniform(0.02, 0.4))  # noqa: S311  # a moment, not a secret
                    # Once for longer than what is known of withdrawals may be old.
                    away = 6.0 if kills == 0 else random.uniform(0.05, 0.3)  # noqa: S311  # idem
                    _kill(server, callers, away=away)
                    kills += 1
            assert workers_of(deployment.process) == workers
            assert callers.statuses() <= {200, 503}
            assert callers.broken == 0
            slowest = max(one.received - one.asked for one in callers.answers)
            assert slowest < REFUSED_WITHIN
            entries = callers.check(deployment.database_url)
            verdict = deployment.verify()
            assert verdict.ok, verdict.findings
            assert verdict.size == entries
    refused = len(callers.answers) - len(callers.released)
    sys.stdout.write(
        f"\n{kills} kills of PostgreSQL in {time.monotonic() - began:.0f} s: {len(callers.released)} answers with "
        f"data, each with its entry; {refused} refused, the slowest answer after {slowest:.1f} s; {entries} entries, "
        "which verify\n"
    )


def _kill(server: PostgresqlServer, callers: Callers, *, away: float) -> None:
    """Kill it, see that nothing is released, start it, and see that exchanges go on."""
    server.kill()
    killed = time.monotonic()
    time.sleep(away)
    starts = time.monotonic()
    server.start()
    callers.wait_for(CALLERS, seconds=GOES_ON_WITHIN)
    meanwhile = {one.status for one in list(callers.answers) if one.asked > killed and one.received < starts}
    assert meanwhile <= {503}, "an answer without a database"


def test_a_stopped_postgresql_is_answered_with_503_in_time_and_exchanges_go_on_with_it(tmp_path: Path) -> None:
    with postgresql_server() as server:
        settings = {"ACCORD_DATABASE_URL": server.url, "ACCORD_WORKERS": "2"}
        with deployed(tmp_path, settings=settings) as deployment:
            workers = _both_ready(deployment)
            with calling(deployment) as callers:
                callers.wait_for(CALLERS, seconds=GOES_ON_WITHIN)
                server.stop()
                stopped = time.monotonic()
                time.sleep(8)
                goes_on = time.monotonic()
                server.go_on()
                callers.wait_for(CALLERS, seconds=GOES_ON_WITHIN)
            assert workers_of(deployment.process) == workers
            assert callers.broken == 0
            # What was committed before is on its way for a moment.
            meanwhile = {one.status for one in callers.answers if stopped + 1 < one.received < goes_on}
            assert meanwhile == {503}
            assert max(one.received - one.asked for one in callers.answers) < REFUSED_WITHIN
            entries = callers.check(deployment.database_url)
            verdict = deployment.verify()
            assert verdict.ok, verdict.findings
            assert verdict.size == entries


def test_a_worker_that_dies_while_postgresql_is_away_is_there_again_once_it_is_back(tmp_path: Path) -> None:
    with postgresql_server() as server:
        settings = {"ACCORD_DATABASE_URL": server.url, "ACCORD_WORKERS": "2"}
        with deployed(tmp_path, settings=settings) as deployment:
            dies, stays = _both_ready(deployment)
            server.kill()
            os.kill(dies, signal.SIGKILL)
            # The one in its place finds no database, and is replaced in its turn.
            _wait_for_replacements(tmp_path / LOG_FILE, 2)
            server.start()
            again = _both_ready(deployment)
            assert stays in again
            assert dies not in again
            assert deployment.exchange(deployment.token()).status_code == 200


def _wait_for_replacements(log: Path, count: int) -> None:
    deadline = time.monotonic() + GOES_ON_WITHIN
    while log.read_text().count("worker_replaced") < count:
        assert time.monotonic() < deadline, "no worker was started in its place"
        time.sleep(0.1)


def _both_ready(deployment: Deployment) -> list[int]:
    """The workers, once each has accepted a connection: one that is only starting has not."""
    deadline = time.monotonic() + GOES_ON_WITHIN
    port = int(deployment.url.rpartition(":")[2])
    while True:
        with ExitStack() as held:
            for _ in range(CALLERS):
                client = held.enter_context(httpx.Client(trust_env=False, timeout=5))
                client.get(f"{deployment.url}/healthz")
            workers = workers_of(deployment.process)
            if len(workers) == 2 and all(_serves(pid, port) for pid in workers):
                return workers
        assert time.monotonic() < deadline, "two workers were not ready"
        time.sleep(0.1)


def _serves(pid: int, port: int) -> bool:
    """Whether it holds the server's end of a connection to ``port`` (``/proc/net/tcp``: 01 is established)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    try:
        return any(str(file.readlink()) in ours for file in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
