"""``accord audit witness`` as its own process, asked by two deployments' logs over real sockets."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from audit.checkpoint import NoteSigner
from audit.cosignature import CosignatureVerifier
from audit.log import Log
from audit.model import Append
from audit.publication import Publication
from audit.store import open_store
from audit.witness import ADD_CHECKPOINT
from audit.witnessing import ConfiguredWitness, WitnessFailed, Witnessing
from exchange.database import migrate
from exchange.witnesses import WitnessCalls
from tests.journeys.deployment import free_ports

pytestmark = pytest.mark.enable_socket

NAME = "witness.example/w1"
START_SECONDS = 30.0


def accord(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "exchange", "audit", "witness", *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def init(folder: Path) -> str:
    """Make a witness; its verifier key."""
    done = accord(folder, "init", "--name", NAME, "--key", "witness.key", "--state", "witness.sqlite")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def serving(folder: Path, port: int, logs: list[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "exchange", "audit", "witness", "serve", "--port", str(port)]
    command += ["--key", "witness.key", "--state", "witness.sqlite", *(word for log in logs for word in ("--log", log))]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=output, stderr=output)
    try:
        _wait_for(f"http://127.0.0.1:{port}/{'0' * 64}/checkpoint", process, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


class _Deployment:
    """A log and the thread's work, as a deployment has them."""

    def __init__(self, folder: Path, name: str, witness: ConfiguredWitness) -> None:
        url = f"sqlite:///{folder / name}.sqlite"
        migrate(url)
        self.key = NoteSigner.generate(f"{name}.example/log")
        self.log = Log.open(open_store(url), self.key, origin=self.key.name)
        self.store = open_store(url)
        self.told: list[str] = []
        calls = WitnessCalls()
        self.witnessing = Witnessing(
            self.store,
            [witness],
            post=calls,
            tell=lambda word, _: self.told.append(word),
            interval=1,
            release=calls.close,
        )

    def grow(self, count: int) -> None:
        for number in range(count):
            self.log.append_blocking(Append({"v": 1, "kind": "access", "time": "t", "request_id": str(number)}))

    def cosigned(self) -> str:
        found = Publication(self.store).cosigned_checkpoint()
        assert found is not None
        return found.note

    def close(self) -> None:
        self.witnessing.close()
        self.log.close()
        self.store.close()


def test_a_witness_cosigns_two_deployments_logs_over_restarts(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    verifier = CosignatureVerifier(init(tmp_path))
    witness = ConfiguredWitness(f"http://127.0.0.1:{port}", verifier)
    town, county = _Deployment(tmp_path, "town", witness), _Deployment(tmp_path, "county", witness)
    try:
        town.grow(3)
        assert town.witnessing.look() == 0, "nobody listens yet"
        assert town.told == ["unreachable"]
        for round_ in range(2):
            with serving(tmp_path, port, [town.key.vkey, county.key.vkey]) as url:
                for one in (town, county):
                    one.witnessing._asked[0].not_before = 0.0
                    one.grow(4)
                    assert one.witnessing.look() == 1, (round_, one.told)
                    _, at = verifier.find(one.cosigned())
                    assert abs(at - time.time()) < 60
                    hashed = sha256(one.key.name.encode()).hexdigest()
                    served = httpx.get(f"{url}/{hashed}/checkpoint", timeout=20, trust_env=False).text
                    assert one.key.verifier().open(served) == one.key.verifier().open(one.cosigned())
        assert (town.told, county.told) == (["unreachable"], [])
    finally:
        town.close()
        county.close()


def test_the_key_of_a_witness_is_its_owners_and_neither_file_is_replaced(tmp_path: Path) -> None:
    vkey = init(tmp_path)
    assert CosignatureVerifier(vkey).name == NAME
    before = (tmp_path / "witness.key").read_bytes()
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("witness.key", "witness.sqlite")} == {0o600}
    again = accord(tmp_path, "init", "--name", NAME, "--key", "witness.key", "--state", "other.sqlite")
    assert (again.returncode, "exists" in again.stderr) == (2, True)
    again = accord(tmp_path, "init", "--name", NAME, "--key", "other.key", "--state", "witness.sqlite")
    assert (again.returncode, "exists" in again.stderr) == (2, True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["witness.key", "witness.sqlite"]
    assert (tmp_path / "witness.key").read_bytes() == before


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("witness")
    init(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--key", "witness.key", "--state", "gone.sqlite"], "no state of a witness"),
        (["--key", "gone.key", "--state", "witness.sqlite"], "gone.key"),
        (["--key", "witness.sqlite", "--state", "witness.sqlite"], "not a signing key"),
        (["--key", "witness.key", "--state", "witness.sqlite", "--log", "x"], "name+id+base64"),
    ],
)
def test_a_witness_without_its_files_does_not_start(made: Path, arguments: list[str], said: str) -> None:
    log = [] if "--log" in arguments else ["--log", NoteSigner.generate("town.example/log").vkey]
    done = accord(made, "serve", *arguments, *log)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (made / "gone.sqlite").exists()


def test_a_witness_has_a_name_that_a_note_can_hold(tmp_path: Path) -> None:
    done = accord(tmp_path, "init", "--name", "a b", "--key", "witness.key", "--state", "witness.sqlite")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("url", ["http://witness.example", "http://127.0.0.1:9", "ftp://127.0.0.1", "https://[::1"])
def test_a_witness_that_cannot_be_reached_is_one_error(url: str) -> None:
    with closing(WitnessCalls(timeout=1)) as calls, pytest.raises(WitnessFailed, match="unreachable"):
        calls(url + ADD_CHECKPOINT, b"old 0\n")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")} | {"NO_COLOR": "1"}


def _wait_for(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=2, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    pytest.fail((folder / "output").read_text())
