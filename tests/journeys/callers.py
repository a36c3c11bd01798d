"""Applications that ask without pause, and what each was answered, to be held against the log."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from audit.store import open_store
from tests.journeys.deployment import Deployment

CALLERS = 8
SUITE_SECONDS = 12.0
"""For the rounds of one test, unless ``ROUNDS`` says how many."""
CALL_SECONDS = 20
"""A caller's own patience; the server's is shorter."""
TOKEN_SECONDS = 120.0
"""How long a token is used; it lives for ten minutes."""
PAUSE_SECONDS = 0.05
"""Between a refusal and the next call."""


def rounds(most: int) -> Iterator[int]:
    """As many as ``ROUNDS`` says; without it, ``most`` of them or as many as the suite has time for."""
    given = os.environ.get("ROUNDS")
    end = time.monotonic() + SUITE_SECONDS
    for number in range(int(given) if given else most):
        if given is None and time.monotonic() > end:
            return
        yield number


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: when it was asked for and received, as ``time.monotonic`` has it."""

    status: int
    asked: float
    received: float


class Callers:
    """Eight threads. ``released``: access id -> index of each answer with data."""

    def __init__(self, deployment: Deployment) -> None:
        self._url = f"{deployment.url}/v1/data/quotient_familial"
        self._deployment = deployment
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]
        self.released: dict[str, int] = {}
        self.answers: list[Answered] = []
        self.problems: list[str] = []
        """What the others said, by the problem's type."""
        self.broken = 0
        """Calls that ended without an answer."""

    def statuses(self) -> set[int]:
        """Of every answer."""
        return {one.status for one in self.answers}

    def wait_for(self, more: int, *, seconds: float) -> None:
        """Return once ``more`` answers with data were received."""
        deadline, enough = time.monotonic() + seconds, len(self.released) + more
        while len(self.released) < enough:
            assert time.monotonic() < deadline, f"exchanges did not go on: {Counter(self.problems[-500:])}"
            time.sleep(0.01)

    def check(self, database_url: str) -> int:
        """Each answer with data has its entry, at its index; returns how many entries there are."""
        store = open_store(database_url)
        with store.reading() as session:
            leaves = session.rows('SELECT leaf FROM log_entries ORDER BY "index"')
        store.close()
        for access_id, index in self.released.items():
            assert access_id.encode() in bytes(leaves[index][0])
        return len(leaves)

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * CALL_SECONDS)

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                with httpx.Client(timeout=CALL_SECONDS, trust_env=False) as client:
                    renewed = float("-inf")
                    while not self._stop.is_set():
                        asked = time.monotonic()
                        if asked > renewed + TOKEN_SECONDS:
                            client.headers["Authorization"] = "Bearer " + self._deployment.token().decode()
                            renewed = asked
                        self._keep(client.get(self._url), asked)
            except httpx.HTTPError:
                self.broken += 1
                time.sleep(PAUSE_SECONDS)

    def _keep(self, answer: httpx.Response, asked: float) -> None:
        body = answer.json()
        with self._lock:
            self.answers.append(Answered(answer.status_code, asked, time.monotonic()))
            if answer.status_code == 200:
                self.released[body["meta"]["access_id"]] = body["meta"]["index"]
                return
            self.problems.append(body["type"])
        time.sleep(PAUSE_SECONDS)


@contextmanager
def calling(deployment: Deployment) -> Iterator[Callers]:
    """Callers for the length of the block."""
    callers = Callers(deployment)
    callers._start()
    try:
        yield callers
    finally:
        callers._end()
