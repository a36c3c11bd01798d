import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.status import LIST_SIZE, LISTS, SUSPENDED, VALID, WITHDRAWN, StatusList


def test_an_index_never_written_is_valid_and_costs_nothing() -> None:
    statuses = StatusList()
    assert statuses.get(LIST_SIZE - 1) == VALID
    assert len(statuses) == 0


def test_the_first_index_of_a_byte_is_in_its_lowest_bits() -> None:
    statuses = StatusList()
    statuses.set(0, WITHDRAWN)
    statuses.set(3, SUSPENDED)
    assert bytes(statuses._bytes) == bytes([0b10_00_00_01])


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([VALID, WITHDRAWN, SUSPENDED]))))
def test_it_remembers_what_a_dictionary_would(writes: list[tuple[int, int]]) -> None:
    statuses, model = StatusList(), dict.fromkeys(range(201), VALID)
    for index, status in writes:
        statuses.set(index, status)
        model[index] = status
    assert {index: statuses.get(index) for index in model} == model


@pytest.mark.parametrize(("index", "status"), [(-1, VALID), (LIST_SIZE * LISTS, VALID), (0, 3), (0, -1)])
def test_what_cannot_be_a_status_is_refused(index: int, status: int) -> None:
    with pytest.raises(ValueError, match=r"index|status"):
        StatusList().set(index, status)
