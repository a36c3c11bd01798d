import pytest

from bench.load import Loaded
from bench.rounds import WrongAnswer, check


def loaded(*, answers: int = 100, wrong: int = 0) -> Loaded:
    return Loaded(answers, wrong, 1.0, 1, 1)


@pytest.mark.parametrize("entries", [None, 100, 103, 132])
def test_right_answers_with_their_entries_count(entries):
    check(loaded(), entries=entries, connections=32)


@pytest.mark.parametrize("entries", [0, 99, 133])
def test_an_answer_without_entry_or_an_entry_too_many_does_not_count(entries):
    with pytest.raises(WrongAnswer, match=f"100 answers but {entries} log entries"):
        check(loaded(), entries=entries, connections=32)


@pytest.mark.parametrize("came_back", [loaded(wrong=1), loaded(answers=0)])
def test_a_single_wrong_answer_or_none_at_all_does_not_count(came_back):
    with pytest.raises(WrongAnswer, match="wrong answers"):
        check(came_back, entries=None, connections=32)
