"""Whether what was erased is what the entries of retention runs say, no more and no less. Pure."""

from array import array
from collections.abc import Iterator
from hashlib import sha256

from audit.replay.report import Report, Run
from audit.verifier import Finding

_INDEX = 8
"""Bytes of an index in the hash over all that a run erased, big-endian."""


class Erasures:
    """Takes reports in the order of the log."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._by: dict[int, array[int]] = {}
        self._gone = bytearray()
        """A bit for each entry whose detail was erased."""

    def add(self, report: Report) -> None:
        """Take in what a part says."""
        self._runs.update(report.runs)
        for index, by in report.erased:
            self._by.setdefault(by, array("Q")).append(index)
            if index // 8 >= len(self._gone):
                self._gone.extend(bytes(index // 8 + 1 - len(self._gone)))
            self._gone[index // 8] |= 1 << index % 8

    def erased(self, index: int) -> bool:
        """Whether a detail was erased when its part was read."""
        return index // 8 < len(self._gone) and bool(self._gone[index // 8] & 1 << index % 8)

    def findings(self, *, first: int, size: int, newest: int | None) -> Iterator[Finding]:
        """``first`` to before ``size`` was read; ``newest``: entries that there are by now, where that is known."""
        for by, indexes in sorted(self._by.items()):
            run = self._runs.get(by)
            if run is not None:
                yield from _compare(by, run, indexes, first)
            elif by < size or (newest is not None and by >= newest):
                yield Finding(f"erased {indexes[0]}", f"entry {by}, which should say so, is not a retention run's")
        for by in sorted(self._runs.keys() - self._by.keys()):
            if self._runs[by].first >= first:
                yield Finding(f"entry {by}", "none of the details that it says were erased is marked as erased")

    def before(self, first: int) -> int:
        """Runs that erased entries before ``first`` too: their hashes cannot be made again."""
        return sum(run.first < first for run in self._runs.values())

    def later(self, size: int) -> int:
        """Details that entries from ``size`` on are said to have erased."""
        return sum(len(indexes) for by, indexes in self._by.items() if by >= size)


def _compare(by: int, run: Run, indexes: "array[int]", first: int) -> Iterator[Finding]:
    if run.first < first:
        # Of what it names a part is not here: the others lie before its end, and are fewer.
        if indexes[-1] > run.last or len(indexes) >= run.erased:
            yield Finding(f"entry {by}", "more details are marked as erased by it than it names")
        return
    digest = sha256(b"".join([index.to_bytes(_INDEX, "big") for index in indexes])).hexdigest()
    if run != Run(len(indexes), indexes[0], indexes[-1], digest):
        yield Finding(f"entry {by}", "the details that are marked as erased by it are not those that it names")
