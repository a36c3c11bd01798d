"""What a gateway is to the bench."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.world import World


@dataclass(frozen=True, slots=True)
class Started:
    """A gateway that listens. ``pid`` is the root of its processes."""

    pid: int
    port: int
    entries: Callable[[], int] | None = None
    """How many log entries are durable; ``None`` when it keeps no such log."""
    database_pid: int | None = None
    """Root of the database server's processes, counted apart."""


Start: TypeAlias = Callable[[World, Path], AbstractContextManager[Started]]
"""Starts it in a fresh folder of its own. Raises ``CannotRun``."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A row of the table."""

    title: str
    start: Start
