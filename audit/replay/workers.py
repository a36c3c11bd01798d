"""The processes that look at parts of the log, and the one that is enough for a small log."""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, cast

from audit.replay.entries import Uses
from audit.replay.part import Checker
from audit.replay.report import Report, Rules
from audit.sources.port import KeySlice, Reader, Source, SourceUnavailable, StoredNote, TablesReader
from audit.verifier import UNTIED

_AHEAD = 2
"""Tasks given to each process at once: what they answer waits in memory."""


class PartTask(NamedTuple):
    """Look at entries ``first`` to before ``end``. ``notes``, ``erased``: where the part does not bring them."""

    first: int
    end: int
    entries: bool
    details: bool
    notes: tuple[StoredNote, ...]
    erased: Mapping[int, int] | None
    marks: tuple[int, ...]


class KeysTask(NamedTuple):
    """Read some rows of the tables of keys."""

    part: KeySlice


class KeptKeys(NamedTuple):
    """What such rows hold: heaps, as entries tell them, and the indexes that no entry can have."""

    closes: bool
    heaps: list[bytes]
    impossible: list[int]


Task: TypeAlias = PartTask | KeysTask
Answer: TypeAlias = Report | KeptKeys


class Worker:
    """What one process holds."""

    def __init__(self, reader: Reader, rules: Rules) -> None:
        self._reader = reader
        self._rules = rules
        self._checker = Checker(rules)

    def run(self, task: Task) -> Answer:
        """Do a task. Raises :class:`SourceUnavailable`."""
        if isinstance(task, KeysTask):
            return self._keys(task.part)
        part = self._reader.part(task.first, task.end, entries=task.entries, details=task.details)
        part.notes += task.notes
        if task.erased is not None:
            part.erased = dict(task.erased)
        return self._checker.check(part, marks=task.marks)

    def _keys(self, part: KeySlice) -> KeptKeys:
        uses, impossible = Uses(self._rules.prefix), []
        for key, index in cast("TablesReader", self._reader).keys(part):
            if index >= 0:
                uses.add(key, index)
            elif index != UNTIED or part.closes:
                impossible.append(index)
        return KeptKeys(part.closes, uses.heaps(), impossible)


_here: Worker | None = None


def _start(source: Source, rules: Rules) -> None:
    # Nothing here refers to itself: looking for what does takes a third of the time.
    gc.disable()
    global _here  # noqa: PLW0603  # a process of the pool holds what it opened until it ends
    _here = Worker(source.open(), rules)


def _run(task: Task) -> Answer:
    if _here is None:
        raise SourceUnavailable("the process was not started")
    return _here.run(task)


def processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def run_here(reader: Reader, rules: Rules, tasks: Iterable[Task]) -> Iterator[Answer]:
    """The answers, in order, one task after the other."""
    worker = Worker(reader, rules)
    return map(worker.run, tasks)


def run_in_processes(source: Source, rules: Rules, tasks: Iterable[Task], count: int) -> Iterator[Answer]:
    """The answers, in order. Raises :class:`SourceUnavailable`, also when a process dies."""
    with _pool(source, rules, count) as pool:
        under_way: deque[Future[Answer]] = deque()
        try:
            for task in tasks:
                under_way.append(pool.submit(_run, task))
                if len(under_way) >= count * _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise SourceUnavailable("a process of the verification ended before it was done") from None


@contextmanager
def _pool(source: Source, rules: Rules, count: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned: what a fork inherits of connections and threads is nobody's.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(source, rules))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
