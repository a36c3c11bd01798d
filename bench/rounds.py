"""The rounds: every gateway once per round, in turn, so that a slow moment of the machine falls on all of them.

Only the gateway being measured is alive. Each is started afresh, asked once, warmed up, left to settle, and then:
read its CPU time, apply the load, read its CPU time again. What came back is checked before it counts.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench.cpu import cpu_seconds
from bench.gateways.port import Gateway, Started
from bench.load import Load, Loaded, apply_load
from bench.processes import HOST, CannotRun, get
from bench.world import EXPECTED, PATH, World, write_tokens

WARM_UP_SECONDS = 1.0
SETTLE_SECONDS = 5.0

_QUIET_SECONDS = 0.25
_OK = 200

_Number = TypeVar("_Number", int, float)


class WrongAnswer(Exception):
    """A gateway ran but did not do the job; its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many."""

    rounds: int
    seconds: float
    connections: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One gateway in one round. CPU in seconds."""

    loaded: Loaded
    cpu: float
    database_cpu: float | None = None
    entries: int | None = None
    """Log entries added while the load ran, those of requests cut off at its end included."""

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per completed right answer."""
        return self.cpu / self.loaded.answers * 1e6

    @property
    def database_cpu_us(self) -> float | None:
        """The same of the database server."""
        return None if self.database_cpu is None else self.database_cpu / self.loaded.answers * 1e6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one gateway over all rounds; with a ``reason`` it stopped being measured."""

    samples: tuple[Sample, ...] = ()
    reason: str | None = None
    is_wrong: bool = False
    """It ran and answered wrongly, as opposed to not being able to run here."""


def run_rounds(
    gateways: Mapping[str, Gateway], world: World, plan: Plan, *, tell: Callable[[str], None]
) -> dict[str, Outcome]:
    """Measure each gateway in each round; one that fails is left out of the rounds that follow."""
    outcomes = {name: Outcome() for name in gateways}
    for number in range(1, plan.rounds + 1):
        write_tokens(world)
        for name, gateway in gateways.items():
            outcome = outcomes[name]
            if outcome.reason is None:
                tell(f"round {number} of {plan.rounds}: {gateway.title}")
                folder = world.folder / f"{name}-{number}"
                folder.mkdir()
                # The database server's own user must be able to pass.
                folder.chmod(0o711)
                outcomes[name] = _with_one_more(outcome, gateway, world, plan, folder)
    return outcomes


def check(loaded: Loaded, *, entries: int | None, connections: int) -> None:
    """Raise :class:`WrongAnswer` unless every answer was right and every answer has its entry.

    A request cut off when the load ended may have an entry without an answer: one per connection at most.
    """
    if loaded.wrong or not loaded.answers:
        raise WrongAnswer(f"{loaded.wrong} wrong answers beside {loaded.answers} right ones")
    if entries is not None and not loaded.answers <= entries <= loaded.answers + connections:
        raise WrongAnswer(f"{loaded.answers} answers but {entries} log entries")


def _with_one_more(outcome: Outcome, gateway: Gateway, world: World, plan: Plan, folder: Path) -> Outcome:
    try:
        with gateway.start(world, folder) as started:
            sample = _measure(started, world, plan)
    except CannotRun as cannot:
        return replace(outcome, reason=str(cannot))
    except WrongAnswer as wrong:
        return replace(outcome, reason=str(wrong), is_wrong=True)
    return replace(outcome, samples=(*outcome.samples, sample))


def _measure(started: Started, world: World, plan: Plan) -> Sample:
    url = f"http://{HOST}:{started.port}{PATH}"
    load = Load(url, world.tokens, EXPECTED, plan.connections, plan.seconds)
    _check_first_answer(url, world.first_token())
    apply_load(replace(load, seconds=min(WARM_UP_SECONDS, plan.seconds)), core=world.cores.rest)
    _settle(started)
    entries, cpu, database = _entries(started), cpu_seconds(started.pid), _database_cpu(started)
    loaded = apply_load(load, core=world.cores.rest)
    cpu = cpu_seconds(started.pid) - cpu
    database = _difference(_database_cpu(started), database)
    _settle(started)
    added = _difference(_entries(started), entries)
    check(loaded, entries=added, connections=plan.connections)
    return Sample(loaded, cpu, database, added)


def _check_first_answer(url: str, token: str) -> None:
    try:
        status, body = get(url, token)
    except OSError as error:
        raise CannotRun(f"no answer: {error}") from None
    if status != _OK or EXPECTED.encode() not in body:
        raise WrongAnswer(f"the first answer was {status} {_slug(body)}")


def _slug(body: bytes) -> str:
    return body[:200].decode(errors="replace")


def _settle(started: Started) -> None:
    """Until the gateway has finished what the load left behind: no tick of CPU for a moment."""
    deadline = time.monotonic() + SETTLE_SECONDS
    before = -1.0
    while time.monotonic() < deadline and (now := cpu_seconds(started.pid)) != before:
        before = now
        time.sleep(_QUIET_SECONDS)


def _entries(started: Started) -> int | None:
    return None if started.entries is None else started.entries()


def _database_cpu(started: Started) -> float | None:
    return None if started.database_pid is None else cpu_seconds(started.database_pid)


def _difference(after: _Number | None, before: _Number | None) -> _Number | None:
    return None if after is None or before is None else after - before
