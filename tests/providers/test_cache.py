"""What is kept of answers: sealed, bounded, short, for the question it was the answer to, and emptied by an end."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from openapi.fields import PivotIdentity, Siret
from providers.cache import MAX_ANSWER_BYTES, Cache
from providers.port import Answer, Query

_NAME = "Canari-Zoé"
_VALUE = "valeur-canari-4711"


def _identity(name: str = _NAME) -> PivotIdentity:
    return PivotIdentity.from_claims(
        {"family_name": name, "gender": "female", "birthdate": "1980-05-00", "birthcountry": "99109"}
    )


def _query(*fields: str, name: str = _NAME, grant: int | None = 7) -> Query:
    return Query("d", Siret("21990001600011"), "r", fields or ("a.b", "a.c"), _identity(name), status_index=grant)


def _answer(value: str = _VALUE) -> Answer:
    return Answer({"a": {"b": value, "c": 2}}, 1_790_000_000, {"l": "x"}, {"m": 1})


class _World:
    def __init__(self, **bounds: int) -> None:
        self.now = 0.0
        self.ended: set[int] = set()
        self.cache = Cache(stands=lambda index: index not in self.ended, clock=lambda: self.now, **bounds)


@pytest.fixture
def world() -> _World:
    return _World()


def test_what_is_kept_is_the_answer_as_it_was_at_its_own_time(world: _World) -> None:
    assert world.cache.keep(_query(), _answer(), 60)
    assert world.cache.take(_query()) == replace(_answer(), cached=True)


def test_it_is_over_after_its_time_and_leaves_the_memory(world: _World) -> None:
    world.cache.keep(_query(), _answer(), 60)
    world.now = 60
    assert world.cache.take(_query()) is None
    world.cache.expire()
    assert len(world.cache) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset": "e"},
        {"recipient": Siret("13002526500013")},
        {"identity": _identity("Canari-Zoe")},
        {"parameters": {"annee": "2026"}},
        {"context": "marché"},
        {"object": "42"},
        {"fields": ("a.b", "a.d")},
        {"franceconnect_token": "t"},
        {"status_index": None},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_it_answers_no_other_question(world: _World, changed: dict[str, object]) -> None:
    world.cache.keep(_query(), _answer(), 60)
    assert world.cache.take(replace(_query(), **changed)) is None  # type: ignore[arg-type]


def test_fewer_fields_are_answered_and_no_other_leaves_with_them(world: _World) -> None:
    world.cache.keep(_query(), _answer(), 60)
    kept = world.cache.take(_query("a.c"))
    assert kept is not None
    assert kept.record == {"a": {"c": 2}}


def test_lists_are_crossed_and_what_is_missing_stays_missing(world: _World) -> None:
    world.cache.keep(_query("e.n", "e.p", "x"), Answer({"e": [{"n": 1, "p": 2}, {"p": 3}]}, 1), 60)
    kept = world.cache.take(_query("e.n", "x"))
    assert kept is not None
    assert kept.record == {"e": [{"n": 1}, {}]}


def test_nothing_is_kept_about_a_citizen_that_no_authorisation_could_empty(world: _World) -> None:
    assert not world.cache.keep(_query(grant=None), _answer(), 60)
    assert not world.cache.keep(replace(_query(), franceconnect_token="t"), _answer(), 60)
    by_number = replace(_query(grant=None), identity=None, identifier="ine", parameters={"ine": "0" * 11})
    assert not world.cache.keep(by_number, _answer(), 60)
    assert len(world.cache) == 0


def test_a_companys_answer_is_kept_without_one(world: _World) -> None:
    query = replace(_query(grant=None), identity=None, company=Siret("21990001600011"))
    assert world.cache.keep(query, _answer(), 60)
    assert world.cache.take(query) is not None


def test_an_end_empties_all_that_is_kept_about_its_citizen_and_nothing_of_others(world: _World) -> None:
    world.cache.keep(_query(grant=7), _answer(), 60)
    world.cache.keep(replace(_query(grant=8), dataset="e"), _answer(), 60)
    world.cache.keep(_query(name="Autre", grant=9), _answer(), 60)
    world.cache.forget(7)
    assert world.cache.take(_query(grant=7)) is None
    assert world.cache.take(replace(_query(grant=8), dataset="e")) is None
    assert world.cache.take(_query(name="Autre", grant=9)) is not None


def test_an_end_empties_also_what_was_only_served_under_it(world: _World) -> None:
    world.cache.keep(_query(grant=7), _answer(), 60)
    assert world.cache.take(_query(grant=8)) is not None
    world.cache.forget(8)
    assert len(world.cache) == 0


def test_an_answer_that_comes_after_its_authorisation_ended_is_not_kept_nor_is_a_kept_one_served(
    world: _World,
) -> None:
    world.cache.keep(_query(grant=8), _answer(), 60)
    world.ended.add(7)
    world.cache.forget(7)
    assert not world.cache.keep(_query(grant=7), _answer(), 60)
    assert world.cache.take(_query(grant=7)) is None
    assert world.cache.take(_query(grant=8)) is not None


def test_however_ends_and_answers_meet_nothing_stays_of_an_ended_authorisation() -> None:
    """Real threads: the feed's empties while the loop's keeps."""
    for turn in range(200):
        world = _World()
        start = threading.Barrier(2)

        def end(world: _World = world, start: threading.Barrier = start) -> None:
            start.wait()
            world.ended.add(7)
            world.cache.forget(7)

        thread = threading.Thread(target=end)
        thread.start()
        start.wait()
        for _ in range(turn % 5):
            world.cache.keep(_query(), _answer(), 60)
        thread.join()
        assert len(world.cache) == 0


def test_the_oldest_goes_when_there_are_too_many() -> None:
    world = _World(max_entries=3)
    for number in range(5):
        world.cache.keep(_query(name=f"N{'abcde'[number]}"), _answer(), 60)
    found = [world.cache.take(_query(name=f"N{letter}")) is not None for letter in "abcde"]
    assert found == [False, False, True, True, True]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 900)), max_size=30))
def test_the_bytes_kept_are_counted_and_bounded(kept: list[tuple[str, int]]) -> None:
    world = _World(max_bytes=2_000)
    for letter, size in kept:
        world.cache.keep(_query(name=f"N{letter}"), _answer("x" * size), 60)
        sealed = sum(len(one.sealed) for one in world.cache._kept.values())
        assert world.cache._bytes == sealed <= 2_000
    world.now = 61
    world.cache.expire()
    assert world.cache._bytes == 0


def test_an_answer_too_large_is_not_kept(world: _World) -> None:
    assert not world.cache.keep(_query(), _answer("x" * MAX_ANSWER_BYTES), 60)


def test_neither_identity_nor_value_is_in_memory_in_clear(world: _World) -> None:
    world.cache.keep(_query(), _answer(), 60)
    (name,), (kept,) = world.cache._kept.keys(), world.cache._kept.values()
    held = b"".join([name, kept.person, kept.sealed])
    for canary in (_NAME.encode(), b"Canari", _VALUE.encode(), b"1980-05-00"):
        assert canary not in held
    # Another start, another key: the same question has another name.
    other = _World()
    other.cache.keep(_query(), _answer(), 60)
    assert next(iter(other.cache._kept)) != name


def test_an_answer_moved_under_another_question_does_not_open(world: _World) -> None:
    world.cache.keep(_query(), _answer(), 60)
    world.cache.keep(_query(name="Autre"), _answer("autre"), 60)
    mine, other = world.cache._kept.values()
    other.sealed = mine.sealed
    assert world.cache.take(_query(name="Autre")) is None
    mine.fields = ("a.b", "a.c", "a.d")
    assert world.cache.take(_query("a.d")) is None


class CacheMachine(RuleBasedStateMachine):
    """Against a model that keeps everything in clear: who, fields, authorisations, until when."""

    people = st.sampled_from(["Na", "Nb"])
    grants = st.sampled_from([1, 2, 3])
    fields = st.sampled_from([("a.b",), ("a.c",), ("a.b", "a.c")])

    def __init__(self) -> None:
        super().__init__()
        self.world = _World()
        self.model: dict[str, tuple[tuple[str, ...], set[int], float]] = {}

    @rule(name=people, grant=grants, fields=fields, seconds=st.integers(1, 60))
    def one_is_kept(self, name: str, grant: int, fields: tuple[str, ...], seconds: int) -> None:
        query = _query(*fields, name=name, grant=grant)
        kept = self.world.cache.keep(query, _answer(name), seconds)
        assert kept == (grant not in self.world.ended)
        if kept:
            self.model[name] = (fields, {grant}, self.world.now + seconds)

    @rule(name=people, grant=grants, fields=fields)
    def one_is_asked_for(self, name: str, grant: int, fields: tuple[str, ...]) -> None:
        found = self.world.cache.take(_query(*fields, name=name, grant=grant))
        kept = self.model.get(name)
        if kept is None or grant in self.world.ended or kept[2] <= self.world.now or not set(fields) <= set(kept[0]):
            assert found is None
            return
        kept[1].add(grant)
        assert found is not None
        whole = {"b": name, "c": 2}
        assert found.record == {"a": {path.split(".")[1]: whole[path.split(".")[1]] for path in fields}}

    @rule(grant=grants)
    def one_ends(self, grant: int) -> None:
        self.world.ended.add(grant)
        self.world.cache.forget(grant)
        self.model = {name: kept for name, kept in self.model.items() if grant not in kept[1]}

    @rule(grant=grants)
    def one_is_resumed(self, grant: int) -> None:
        self.world.ended.discard(grant)

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds
        self.world.cache.expire()
        self.model = {name: kept for name, kept in self.model.items() if kept[2] > self.world.now}

    @invariant()
    def nothing_else_is_kept(self) -> None:
        assert len(self.world.cache) == len(self.model)


CacheMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
test_what_is_kept_is_what_its_model_keeps = CacheMachine.TestCase
