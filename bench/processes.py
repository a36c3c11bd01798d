"""Starting programs on a chosen core, waiting until they answer, and stopping them."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 15.0

_POLL_SECONDS = 0.05


class CannotRun(Exception):
    """A part of the bench cannot run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: what is measured has a core of its own, everything else shares the other."""

    gateway: int
    rest: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first two cores allowed. With a single one both are the same, and the conditions printed say so."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(gateway=allowed[0], rest=allowed[1] if len(allowed) > 1 else allowed[0])


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to start. Its output goes to ``log``; ``user`` is for a program that refuses to run as root."""

    command: Sequence[str]
    core: int | None
    folder: Path
    log: Path
    environment: Mapping[str, str] | None = None
    user: str | None = None


@contextmanager
def running(launch: Launch) -> Iterator[subprocess.Popen[bytes]]:
    """The program, stopped on the way out: asked first, killed when it does not hear."""
    with launch.log.open("ab") as output:
        process = _start_on_core(launch, output.fileno())
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def run_to_end(launch: Launch, *, seconds: float = 120.0) -> str:
    """Standard output of a program that must succeed. Raises :class:`CannotRun` with what it said last."""
    process = _start_on_core(launch, subprocess.PIPE)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise CannotRun(f"{Path(launch.command[0]).name} did not end within {seconds:.0f} s") from None
    text = output.decode(errors="replace")
    if process.returncode != 0:
        raise CannotRun(f"{' '.join(launch.command[1:4])} exited with {process.returncode}: {_last_line(text)}")
    return text


def wait_until_listening(process: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
    """Return once the port accepts. Raises :class:`CannotRun` when the program ends first or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotRun(f"ended at once: {_last_line(log.read_text(errors='replace'))}")
        with socket.socket() as attempt:
            attempt.settimeout(1)
            if attempt.connect_ex((HOST, port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    raise CannotRun(f"did not listen within {START_SECONDS:.0f} s")


def get(url: str, token: str) -> tuple[int, bytes]:
    """Status and body of one request with this token."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=15)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _start_on_core(launch: Launch, output: int) -> subprocess.Popen[bytes]:
    """Affinity is inherited: taking it, starting and giving it back needs no code in the child."""
    ours = os.sched_getaffinity(0)
    if launch.core is not None:
        os.sched_setaffinity(0, {launch.core})
    try:
        return subprocess.Popen(
            launch.command,
            cwd=launch.folder,
            env=dict(launch.environment) if launch.environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=launch.user,
        )
    except OSError as error:
        raise CannotRun(f"{launch.command[0]}: {error.strerror}") from None
    finally:
        os.sched_setaffinity(0, ours)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
