"""CPU time of a process, its threads and its descendants, from ``/proc`` (proc_pid_stat(5)).

The four times of a process are added: its own (``utime``, ``stime``, which include every thread, ended ones too) and
those of the children it has waited for (``cutime``, ``cstime``). A child that ends between two readings moves from
its own line to its parent's, so that nothing is lost and nothing is counted twice.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_PARENT, _TIMES = 1, slice(11, 15)
"""Places of ``ppid`` and of the four times among the fields that follow the command's closing bracket."""


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """One process at one moment; ``ticks`` is utime + stime + cutime + cstime."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> ProcessTimes:
    """The line of ``/proc/PID/stat``. The command may hold spaces and brackets: fields are counted after its last."""
    before, _, after = text.rpartition(")")
    fields = after.split()
    return ProcessTimes(int(before.split(" ", 1)[0]), int(fields[_PARENT]), sum(map(int, fields[_TIMES])))


def tree_ticks(root: int, processes: Iterable[ProcessTimes]) -> int:
    """Ticks of ``root`` and of every descendant alive. Pure."""
    children: Mapping[int, list[ProcessTimes]] = defaultdict(list)
    total = 0
    for process in processes:
        children[process.parent].append(process)
        if process.pid == root:
            total = process.ticks
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), []):
            total += child.ticks
            waiting.append(child.pid)
    return total


def cpu_seconds(root: int) -> float:
    """CPU seconds used so far by the process ``root``, its threads and its descendants."""
    return tree_ticks(root, _processes()) / TICKS_PER_SECOND


def _processes() -> Iterable[ProcessTimes]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield parse_stat((entry / "stat").read_text(encoding="ascii", errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we were reading: its time is on its parent's line
