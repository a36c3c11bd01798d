"""Killed at any moment: every answer a client received has its entry, and the server starts again by itself."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.journeys.deployment import Deployment, deployed, workers_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 30
CALLERS = 8


class _Load:
    """Callers that ask without pause and keep the request id and index of every answer they received."""

    def __init__(self, deployment: Deployment) -> None:
        self._url = f"{deployment.url}/v1/data/quotient_familial"
        self._headers = {"Authorization": "Bearer " + deployment.token().decode()}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.received: dict[str, int] = {}
        self.unexpected: list[int] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                with httpx.Client(timeout=20, trust_env=False, headers=self._headers) as client:
                    while not self._stop.is_set():
                        self._keep(client.get(self._url))
            except httpx.HTTPError:
                time.sleep(0.05)

    def _keep(self, answer: httpx.Response) -> None:
        body = answer.json()
        with self._lock:
            if answer.status_code == 200:
                self.received[body["meta"]["access_id"]] = body["meta"]["index"]
            elif answer.status_code != 503:
                self.unexpected.append(answer.status_code)


def test_every_answer_received_has_its_entry_however_often_the_server_is_killed(tmp_path: Path) -> None:
    with deployed(tmp_path) as deployment:
        load = _Load(deployment)
        load.start()
        try:
            for _ in range(KILLS):
                time.sleep(random.uniform(0.02, 0.4))  # noqa: S311  # a moment, not a secret
                _kill_a_worker(deployment)
                _wait_until_ready(deployment)
        finally:
            load.stop()
        assert load.unexpected == []
        assert len(load.received) > KILLS
        entries = deployment.entries()
        for request_id, index in load.received.items():
            assert request_id in entries[index]
        verdict = deployment.verify()
        assert verdict.ok, verdict.findings
        assert verdict.size == len(entries)


def _kill_a_worker(deployment: Deployment) -> None:
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
