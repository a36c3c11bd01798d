"""The load: so many connections, each asking again as soon as it is answered (closed loop), tokens in turn.

wrk does it when it is installed, our own client otherwise; both read and compare every answer and report alike.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.processes import CannotRun, Launch, run_to_end

SCRIPT = Path(__file__).with_name("wrk.lua")
ROOT = Path(__file__).resolve().parent.parent

_MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and what a right answer holds."""

    url: str
    tokens: Path
    """One token a line."""
    expected: str
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came back. ``answers`` counts the right ones: status 200 and the expected text."""

    answers: int
    wrong: int
    seconds: float
    p50_us: int
    p99_us: int


def generator() -> str:
    """Which program makes the load here."""
    return "wrk" if shutil.which("wrk") else "bench.client"


def apply_load(load: Load, *, core: int) -> Loaded:
    """Send it; blocks for ``load.seconds``. Raises :class:`CannotRun` when the generator fails."""
    command = _wrk(load) if generator() == "wrk" else _own_client(load)
    launch = Launch(command, core=core, folder=ROOT, log=load.tokens.with_suffix(".log"))
    output = run_to_end(launch, seconds=load.seconds + _MARGIN_SECONDS)
    return parse_report(output)


def parse_report(output: str) -> Loaded:
    """The last line that is a JSON object. Raises :class:`CannotRun` when there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return Loaded(**json.loads(line))
    raise CannotRun("the load generator reported nothing")


def _wrk(load: Load) -> list[str]:
    # wrk takes whole seconds only.
    seconds = max(1, round(load.seconds))
    options = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "15s", "-s", str(SCRIPT)]
    return ["wrk", *options, load.url, "--", str(load.tokens), load.expected]


def _own_client(load: Load) -> list[str]:
    arguments = [load.url, str(load.tokens), load.expected, str(load.connections), str(load.seconds)]
    return [sys.executable, "-m", "bench.client", *arguments]
