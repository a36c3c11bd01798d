"""A list of a published log, one JSON record a line, in the order of one of its members: read as it is asked for.

There may be millions of lines. Whoever wrote the file wrote them in order; those that are not where they should be, as
when somebody adds one, are held and put where they belong. Standard library alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from io import BytesIO
from typing import IO, Any, Generic, TypeAlias, TypeVar

from audit.package_check import UNREADABLE
from audit.sources.files import FileInvalid, record_of
from audit.sources.port import SourceUnavailable

MOST_ASTRAY = 10_000
"""Lines that may stand elsewhere than in their order: what is held of a list."""
_MAX_LINE_BYTES = 8_192
"""A checkpoint as a log signs it has some hundreds of bytes; there are thousands to a part of the log."""


T = TypeVar("T")
_Record: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListForm(Generic[T]):
    """What a list is called, the members of its records, the integer one they are in the order of, what they mean."""

    name: str
    members: Mapping[str, type]
    by: str
    meant: Callable[[_Record], T]


class OrderedList(Generic[T]):
    """What a file lists, ascending. Gone through as often as needed, once at a time."""

    def __init__(self, form: ListForm[T], file: IO[bytes]) -> None:
        """Look at every line.

        Raises :class:`FileInvalid` for what is no such list, also when more than ``MOST_ASTRAY`` lines are not in
        order; :class:`SourceUnavailable` when it cannot be read.
        """
        self._form = form
        self._file = file
        self._astray: list[_Record] = []
        self.highest = 0
        """The place of the last one; 0 without any."""
        for record, in_order in self._records():
            if in_order:
                self.highest = self._place(record)
                continue
            self._astray.append(record)
            if len(self._astray) > MOST_ASTRAY:
                raise FileInvalid("its lines are not in order")
        self._astray.sort(key=self._place)

    @classmethod
    def empty(cls, form: ListForm[T]) -> "OrderedList[T]":
        """A list of nothing."""
        return cls(form, BytesIO())

    def __iter__(self) -> Iterator[T]:
        """What is listed. Raises :class:`SourceUnavailable`, also when the file is no longer what it was."""
        in_order = (record for record, is_in_order in self._records() if is_in_order)
        try:
            yield from map(self._form.meant, merge(in_order, self._astray, key=self._place))
        except FileInvalid as error:
            raise SourceUnavailable(f"{self._form.name} changed while it was read: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _place(self, record: _Record) -> int:
        place: int = record[self._form.by]
        return place

    def _records(self) -> Iterator[tuple[_Record, bool]]:
        """Each record, and whether it comes after all those before it."""
        highest: int | None = None
        for number, line in enumerate(self._lines(), 1):
            record = record_of(line, number, self._form.members)
            place = self._place(record)
            in_order = highest is None or place > highest
            yield record, in_order
            if in_order:
                highest = place

    def _lines(self) -> Iterator[bytes]:
        self._go_back()
        while line := self._line():
            if not line.endswith(b"\n"):
                raise FileInvalid("a line is too long" if len(line) > _MAX_LINE_BYTES else "the last line does not end")
            yield line[:-1]

    def _go_back(self) -> None:
        try:
            self._file.seek(0)
        except UNREADABLE as error:
            raise self._unreadable(error) from None

    def _line(self) -> bytes:
        try:
            return self._file.readline(_MAX_LINE_BYTES + 1)
        except UNREADABLE as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> SourceUnavailable:
        return SourceUnavailable(f"{self._form.name} cannot be read ({type(error).__name__})")
