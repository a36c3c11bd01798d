"""Starts the FranceConnect of ``oidc_provider/``: its packages as the lock file names them, then the server itself."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.thirdparty.packages import install

SOURCE = Path(__file__).with_name("oidc_provider")
START_SECONDS = 20.0
STOP_SECONDS = 5.0

_PAUSE = 0.05


@contextmanager
def franceconnect_running(
    folder: Path, *, clients: Sequence[Mapping[str, object]], people: Mapping[str, Mapping[str, object]]
) -> Iterator[str]:
    """Serve ``clients`` and ``people`` on loopback from a copy in ``folder``; yield the issuer."""
    copy = install(SOURCE, folder / "oidc_provider")
    (copy / "world.json").write_text(json.dumps({"clients": clients, "people": people}), encoding="utf-8")
    log = copy / "server.log"
    with (copy / "issuer").open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            ["node", "server.mjs", "world.json"],
            cwd=copy,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
    try:
        yield _issuer(process, copy / "issuer", log)
    finally:
        _stop(process)


def _issuer(process: "subprocess.Popen[bytes]", said: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not (line := said.read_text(encoding="ascii")).endswith("\n"):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, "the FranceConnect in node did not start in time"
        time.sleep(_PAUSE)
    return line.strip()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
