"""``accord demo``: the whole path over real HTTP, started as a person would start it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.sandbox.conftest import free_port

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

SECONDS = 90


def demo(*arguments: str, ports: tuple[int, int] | None = None) -> Sequence[str]:
    port, sandbox_port = ports or (free_port(), free_port())
    chosen = ["--port", str(port), "--sandbox-port", str(sandbox_port)]
    return [sys.executable, "-m", "exchange", "demo", *chosen, *arguments]


def walk(*arguments: str, ports: tuple[int, int] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        demo("--headless", *arguments, ports=ports), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def assert_whole_path(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"received: quotient familial \d", done.stdout)
    assert re.search(r"the access has index \d+ in the log", done.stdout)
    assert '"outcome": "ok"' in done.stdout
    assert "verified" in done.stdout
    assert "refused, grant_withdrawn" in done.stdout
    assert "The log verifies" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demo_walks_over_the_states_own_families(reference: Path) -> None:
    folder = reference / "api-particulier/fixtures/api_particulier_v3_cnav_quotient_familial_with_civility"
    assert_whole_path(walk("--fixtures", str(folder)))


def test_the_demo_walks_its_whole_path_without_a_browser_and_on_another_port_than_one_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        done = walk(ports=(port, free_port()))
    assert f"Port {port} is taken; " in done.stdout
    assert_whole_path(done)


def test_a_folder_without_families_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = walk("--fixtures", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_says_what_to_open_and_stops_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    output = tmp_path / "output"
    with output.open("w") as written:
        process = subprocess.Popen(demo(ports=ports), stdout=written, stderr=subprocess.STDOUT)
    try:
        wait_for(output, "Ctrl-C stops everything")
        assert httpx.get(f"http://localhost:{ports[1]}/").status_code == 200
        assert httpx.get(f"http://localhost:{ports[0]}/readyz").status_code == 200
        os.kill(process.pid, number)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(5)
    said = output.read_text()
    assert f"http://localhost:{ports[1]}/" in said
    assert "Traceback" not in said
    for port in ports:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://localhost:{port}/")


def wait_for(output: Path, sentence: str) -> None:
    deadline = time.monotonic() + SECONDS
    while sentence not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.2)
