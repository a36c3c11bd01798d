"""The lists of a published log: in their order, whatever the order of their lines, and nothing that is none."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sources.files import FileInvalid, lines_of
from audit.sources.lists import MOST_ASTRAY, ListForm, OrderedList
from audit.sources.port import SourceUnavailable

FORM = ListForm("erased.jsonl", {"by": int, "index": int}, "index", lambda record: (record["index"], record["by"]))


def listed(*pairs: tuple[int, int]) -> BytesIO:
    return BytesIO(lines_of({"index": index, "by": by} for index, by in pairs))


@given(st.lists(st.tuples(st.integers(-5, 40), st.integers(0, 3))))
def test_lines_in_any_order_come_in_order_and_none_is_left_out(pairs: list[tuple[int, int]]) -> None:
    found = OrderedList(FORM, listed(*pairs))
    assert list(found) == sorted(pairs, key=lambda pair: pair[0])
    assert list(found) == list(found)
    assert found.highest == max((index for index, _ in pairs), default=0)


def test_more_lines_out_of_order_than_are_held_are_no_list() -> None:
    first = (10**9, 0)
    assert len(list(OrderedList(FORM, listed(first, *((index, 0) for index in range(MOST_ASTRAY)))))) == MOST_ASTRAY + 1
    with pytest.raises(FileInvalid, match="not in order"):
        OrderedList(FORM, listed(first, *((index, 0) for index in range(MOST_ASTRAY + 1))))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"by":1,"index":1}\n{"by":1,"index":2}', "the last line does not end"),
        (b'{"by":1,"index":1}\n\n', "line 2 is not a record"),
        (b'{"by":1,"index":1}\n{"index":2,"by":1}\n', "line 2 is not canonical"),
        (b'{"by":1,"index":true}\n', "line 1 is not a record"),
        (b"x" * 10_000, "too long"),
    ],
)
def test_what_is_no_list_is_named(content: bytes, problem: str) -> None:
    with pytest.raises(FileInvalid, match=problem):
        OrderedList(FORM, BytesIO(content))


class Failing(BytesIO):
    """A disk that fails after some lines."""

    def __init__(self, content: bytes, *, after: int) -> None:
        super().__init__(content)
        self._left = after

    def readline(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise OSError
        return super().readline(size)


def test_a_file_that_cannot_be_read_to_its_end_is_no_verdict() -> None:
    content = listed((1, 1), (2, 2)).getvalue()
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        OrderedList(FORM, Failing(content, after=1))
    found = OrderedList(FORM, Failing(content, after=4))
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        list(found)


def test_a_file_that_changes_while_it_is_read_is_no_verdict() -> None:
    file = listed((1, 1), (2, 2))
    found = OrderedList(FORM, file)
    file.seek(0)
    file.write(b"[")
    with pytest.raises(SourceUnavailable, match="changed while it was read"):
        list(found)
