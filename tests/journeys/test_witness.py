"""A whole deployment whose log another party witnesses: what anybody sees of it without an account."""

import json
import time
from pathlib import Path

import httpx
import pytest

from audit.cosignature import CosignatureVerifier
from audit.layout import tiles_of
from audit.merkle import HASH_BYTES
from audit.verification import root_of_leaves
from tests.exchange.test_witness_command import NAME, accord, serving
from tests.journeys.deployment import Deployment, deployed, free_ports

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

PATIENCE = 30.0


def test_anybody_sees_that_the_log_only_grew_and_that_a_witness_saw_it_too(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    made = accord(tmp_path, "init", "--name", NAME, "--key", "witness.key", "--state", "witness.sqlite")
    witness = CosignatureVerifier(made.stdout.strip())
    url = f"http://127.0.0.1:{port}"
    settings = {
        "ACCORD_WITNESSES": json.dumps([{"url": url, "vkey": made.stdout.strip()}]),
        "ACCORD_WITNESS_INTERVAL": "1",
    }
    with deployed(tmp_path / "world", settings=settings) as deployment:
        key = deployment.keyring().log
        # The witness comes later than the log: the log goes on, and asks again.
        assert deployment.exchange(deployment.token()).status_code == 200
        warned_of_silence(deployment)
        with serving(tmp_path, port, [key.vkey]):
            for number in range(2):
                answer = deployment.exchange(deployment.token())
                index = answer.json()["meta"]["index"]
                checkpoint = key.verifier().open(cosigned_beyond(deployment, witness, index))
                leaves = tiles(deployment, checkpoint.size)
                assert root_of_leaves(leaves) == checkpoint.root, number
        listed = [json.loads(line) for line in log_of(deployment, "checkpoints").text.splitlines()]
        assert [key.verifier().open(one["note"]).size for one in listed] == [one["size"] for one in listed]
        for private in ("tile/entries/000.p/1", "details/000.p/1"):
            assert log_of(deployment, private).status_code == 401
        assert deployment.verify().ok
        warned = (deployment.world.folder / "accord.log").read_text()
    assert "Traceback" not in warned


def warned_of_silence(deployment: Deployment) -> None:
    """Wait until the log has asked the witness in vain and said so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if '"event": "checkpoint not cosigned"' in (deployment.world.folder / "accord.log").read_text():
            return
        time.sleep(0.1)
    pytest.fail("nothing was said of a witness who does not answer")


def cosigned_beyond(deployment: Deployment, witness: CosignatureVerifier, index: int) -> str:
    """The first checkpoint over entry ``index`` that the witness cosigned."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = log_of(deployment, "checkpoint/cosigned")
        if answer.status_code == 200 and int(answer.text.split("\n")[1]) > index:
            witness.find(answer.text)
            return answer.text
        time.sleep(0.1)
    pytest.fail("the witness did not cosign in time")


def tiles(deployment: Deployment, size: int) -> list[bytes]:
    """The hashes of the entries, by the public tiles."""
    content = b"".join(log_of(deployment, str(path)).content for path in tiles_of(size) if path.level == 0)
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def log_of(deployment: Deployment, path: str) -> httpx.Response:
    return httpx.get(f"{deployment.url}/log/{path}", timeout=20, trust_env=False)
