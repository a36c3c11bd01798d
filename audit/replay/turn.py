"""What comes in an order, taken part by part: none of it is held but the one that comes next. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class InTurn(Generic[T]):
    """``things`` ascend by their ``place``; those before ``first`` are passed over."""

    def __init__(self, things: Iterable[T], place: Callable[[T], int], *, first: int) -> None:
        self._left = iter(things)
        self._next = next(self._left, None)
        self._place = place
        self._first = first

    def before(self, end: int) -> Iterator[T]:
        """Those that come next and have their place before ``end``. Take all of them."""
        while self._next is not None and (place := self._place(self._next)) < end:
            if place >= self._first:
                yield self._next
            self._next = next(self._left, None)
