"""Keys are replaced on a running deployment of two processes, and nobody who uses it notices."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Self

import httpx
import jwt
import pytest

from sandbox.servers import run_accord
from sandbox.world import KEYS_FOLDER
from tests.journeys.citizen import authorize
from tests.journeys.deployment import Deployment, deployed, workers_of
from tests.tokens import Mint

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

PUBLISH = 3
"""The shortest that a deployment may be told."""
SETTINGS = {"ACCORD_WORKERS": "2", "ACCORD_KEY_PUBLISH_SECONDS": str(PUBLISH), "ACCORD_LOG_TIMEOUT": "20"}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("world"), settings=SETTINGS) as running:
        yield running


class _Traffic:
    """Exchanges on a token from before, and new authorisations whose tokens are used at once, without a pause."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._old = deployment.token().decode()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=target) for target in (self._exchange, self._authorize)]
        self.answers: Counter[str] = Counter()
        self.kids: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _exchange(self) -> None:
        self._until_stopped(lambda: self._ask(self._old))

    def _authorize(self) -> None:
        self._until_stopped(self._new_citizen)

    def _until_stopped(self, do: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                do()
            except Exception as error:  # noqa: BLE001  # whatever it was, the test says so
                self.answers[repr(error)] += 1

    def _new_citizen(self) -> None:
        token = authorize(self._deployment, person=0)
        self.kids.append(_kid(token))
        # A connection each: both processes are asked.
        for _ in range(6):
            self._ask(token)

    def _ask(self, token: str) -> None:
        answer = self._deployment.exchange(token)
        self.answers["200" if answer.status_code == 200 else answer.text] += 1


def _kid(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def _published(deployment: Deployment) -> list[str]:
    jwks = httpx.get(f"{deployment.url}/oauth/jwks", timeout=20, trust_env=False).json()
    return [jwk["kid"] for jwk in jwks["keys"]]


def _rotate(deployment: Deployment, *options: str) -> str:
    return run_accord(["keys", "rotate", *options], folder=deployment.world.folder)


def _until(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _let_the_processes_look_at_different_moments(deployment: Deployment) -> None:
    """Started together they read their files together, which hides what happens in between."""
    one, other = workers_of(deployment.process)
    time.sleep(0.5)
    os.kill(one, signal.SIGKILL)
    _until(lambda: len(workers_of(deployment.process)) == 2 and one not in workers_of(deployment.process))
    assert other in workers_of(deployment.process)
    time.sleep(3)


def test_nothing_is_refused_while_keys_rotate_under_exchanges_and_authorisations(deployment: Deployment) -> None:
    first = deployment.keyring()
    _let_the_processes_look_at_different_moments(deployment)
    with _Traffic(deployment) as traffic:
        _until(lambda: len(traffic.kids) >= 2)
        _rotate(deployment)
        second = deployment.keyring().tokens.kid_in_use
        _until(lambda: second in traffic.kids, seconds=60)
        _rotate(deployment)
        third = deployment.keyring().tokens.kid_in_use
        _until(lambda: traffic.kids.count(third) >= 4, seconds=60)
    assert set(traffic.answers) == {"200"}, traffic.answers
    # Two processes may be a moment apart, never two keys.
    assert list(dict.fromkeys(traffic.kids)) == [first.tokens.kid_in_use, second, third]
    assert _published(deployment) == [third, second, first.tokens.kid_in_use]
    assert deployment.verify().ok


def test_a_new_key_is_published_first_and_signs_when_everybody_has_read_it(deployment: Deployment) -> None:
    before = deployment.keyring().tokens.kid_in_use
    _rotate(deployment, "--tokens")
    new = deployment.keyring().tokens.kid_in_use
    _until(lambda: all(_published(deployment)[:2] == [new, before] for _ in range(8)))
    _until(lambda: all(_kid(authorize(deployment, person=0)) == new for _ in range(3)))
    assert _made_at(deployment, new) + PUBLISH <= time.time()


def test_a_token_from_before_is_good_until_it_ends_and_its_identity_still_opens(deployment: Deployment) -> None:
    mint, token = deployment.mint(), deployment.token()
    claims = jwt.decode(token, options={"verify_signature": False})
    _rotate(deployment)
    keyring = deployment.keyring()
    _until(lambda: all(_kid(authorize(deployment, person=0)) == keyring.tokens.kid_in_use for _ in range(3)))
    assert deployment.exchange(token).status_code == 200
    # What a grant from before becomes now: the same sealed identity under the new signing key.
    current = keyring.tokens.current
    renewed = Mint(deployment.url, current.private, current.kid, mint.sealing, mint.sealing_kid)
    assert mint.sealing_kid != keyring.sealing.current
    for _ in range(4):
        assert deployment.exchange(renewed.token(renewed.claims(**claims))).status_code == 200
    # Another of the key from before: what ends it is its end and not its key.
    ending = mint.token(mint.claims(**(claims | {"exp": int(time.time()) + 2})))
    _until(lambda: deployment.exchange(ending).status_code != 200)
    ended = deployment.exchange(ending)
    assert (ended.status_code, ended.json()["type"].rsplit("/", 1)[1]) == (401, "token_expired")


def test_the_log_says_that_keys_were_replaced_by_which(deployment: Deployment) -> None:
    told = _rotate(deployment)
    keyring = deployment.keyring()
    entries = [json.loads(entry) for entry in deployment.entries()]
    rotated = [entry for entry in entries if entry["kind"] == "keys.rotated"]
    assert rotated[-1]["tokens_made"] == keyring.tokens.kid_in_use
    assert rotated[-1]["identity_made"] == keyring.sealing.kid_in_use
    assert keyring.tokens.kid_in_use in told
    verdict = deployment.verify()
    assert verdict.ok, verdict.findings


def _made_at(deployment: Deployment, kid: str) -> int:
    jwks = json.loads((deployment.world.folder / KEYS_FOLDER / "tokens.json").read_text())["keys"]
    return next(int(jwk["iat"]) for jwk in jwks if jwk["kid"] == kid)
