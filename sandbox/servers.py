"""The demo's two servers: Accord as its own process, the sandbox in a thread. Each starts, is waited for, and stops."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

START_SECONDS = 60.0
STOP_SECONDS = 10.0
COMMAND_SECONDS = 120.0
LOG_FILE = "accord.log"

_PAUSE = 0.1
_TAIL_LINES = 12


class ServerFailed(Exception):
    """A server or a command of the demo did not do its part; the message is what the person reads."""


def run_accord(arguments: list[str], *, folder: Path) -> str:
    """Run ``accord ARGUMENTS`` on the world in ``folder``; return what it printed. Raises :class:`ServerFailed`."""
    try:
        done = subprocess.run(  # noqa: S603  # our own program, with arguments of our own
            _accord(arguments),
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise ServerFailed(f"accord {' '.join(arguments)} did not end within {COMMAND_SECONDS:.0f} s") from None
    if done.returncode != 0:
        raise ServerFailed(f"accord {' '.join(arguments)} failed:\n{_tail(done.stdout + done.stderr)}")
    return done.stdout


@contextmanager
def accord_running(*, folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """``accord serve`` on the world in ``folder``, ready to answer at ``url``; stopped on the way out."""
    log = folder / LOG_FILE
    with log.open("wb") as output:
        # Its own session: Ctrl-C reaches the demo alone, which then stops Accord as an operator would.
        process = subprocess.Popen(  # noqa: S603  # idem
            _accord(["serve"]),
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(lambda: _answers(f"{url}/readyz"), alive=lambda: process.poll() is None, name="Accord", log=log)
        yield process
    finally:
        _stop(process)


@contextmanager
def sandbox_running(app: FastAPI, *, port: int) -> Iterator[None]:
    """``app`` on every loopback address; stopped on the way out."""
    config = uvicorn.Config(app, log_level="error", access_log=False, ws="none", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    sockets = _listen(port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, name="sandbox", daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started, alive=thread.is_alive, name="The sandbox", log=None)
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        for one in sockets:
            one.close()


def failure_of(process: subprocess.Popen[bytes], *, folder: Path) -> ServerFailed:
    """Return the sentence for an Accord that ended by itself."""
    return ServerFailed(f"Accord stopped (exit code {process.returncode}):\n{_tail_of(folder / LOG_FILE)}")


def _accord(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "exchange", *arguments]


def _environment() -> dict[str, str]:
    # The world's settings are in its .env; what this shell says about another Accord must not override them.
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}


def _listen(port: int) -> list[socket.socket]:
    listening = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError:
            one.close()
            continue
        listening.append(one)
    if not listening:
        raise ServerFailed(f"Port {port} is taken: stop what uses it, or choose another with --sandbox-port.")
    return listening


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == HTTPStatus.OK
    except httpx.HTTPError:
        return False


def _wait(ready: Callable[[], bool], *, alive: Callable[[], bool], name: str, log: Path | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if not alive():
            raise ServerFailed(f"{name} did not start:\n{_tail_of(log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{name} was not ready within {START_SECONDS:.0f} s:\n{_tail_of(log)}")
        time.sleep(_PAUSE)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def _tail_of(log: Path | None) -> str:
    return _tail(log.read_text(encoding="utf-8", errors="replace")) if log else ""


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
