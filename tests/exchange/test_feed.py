"""The feed: what a gateway knows is fresh, or it says that it is not."""

import time
from collections.abc import Callable

import pytest

from consent.status import SUSPENDED, VALID, WITHDRAWN
from exchange.feed import Feed
from exchange.model import Registry
from openapi.problem import AccordError


class _Registry:
    def __init__(self) -> None:
        self.newest = 1

    def version(self) -> int:
        return self.newest

    def read(self) -> Registry:
        return Registry(self.newest, {}, {})


class _Grants:
    def __init__(self) -> None:
        self.changes: list[tuple[int, int, int]] = []
        self.down = False

    def changes_since(self, change: int) -> list[tuple[int, int, int]]:
        if self.down:
            raise ConnectionError
        return [one for one in self.changes if one[0] > change]


class _World:
    def __init__(self) -> None:
        self.now = 100.0
        self.registry, self.grants = _Registry(), _Grants()
        self.feed = Feed(registry=self.registry, grants=self.grants, interval=0.01, max_age=5, clock=lambda: self.now)


@pytest.fixture
def world() -> _World:
    return _World()


def test_nothing_is_answered_before_the_first_reading(world: _World) -> None:
    with pytest.raises(AccordError, match="status_feed_stale"):
        world.feed.status(0)


def test_a_withdrawal_elsewhere_is_known_after_the_next_reading(world: _World) -> None:
    world.feed.refresh()
    assert world.feed.status(7) == VALID
    world.grants.changes.append((1, 7, WITHDRAWN))
    world.feed.refresh()
    assert world.feed.status(7) == WITHDRAWN


def test_a_withdrawal_here_is_known_at_once(world: _World) -> None:
    world.feed.refresh()
    world.feed.changed(7, 1)
    assert world.feed.status(7) == WITHDRAWN


def test_a_new_registry_replaces_the_old_one_whole(world: _World) -> None:
    world.feed.refresh()
    world.registry.newest = 2
    world.feed.refresh()
    assert world.feed.registry.version == 2


def test_what_is_too_old_is_never_guessed(world: _World) -> None:
    world.feed.refresh()
    world.now += 5.1
    with pytest.raises(AccordError) as caught:
        world.feed.status(0)
    assert caught.value.slug == "status_feed_stale"
    assert not world.feed.is_fresh


def test_the_thread_outlives_a_dead_database(world: _World) -> None:
    world.feed.start()
    try:
        world.grants.down = True
        world.grants.changes.append((1, 7, WITHDRAWN))
        _until(lambda: world.feed.status(7) == VALID)
        world.grants.down = False
        _until(lambda: world.feed.status(7) == WITHDRAWN)
    finally:
        world.feed.close()


def _until(holds: Callable[[], bool]) -> None:

    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_whoever_follows_is_told_of_each_end_once_the_feed_itself_knows_of_it(world: _World) -> None:
    told: list[tuple[int, bool]] = []
    world.feed.follow(lambda index: told.append((index, world.feed.stands(index))))
    world.feed.refresh()
    world.grants.changes += [(1, 7, WITHDRAWN), (2, 8, SUSPENDED), (3, 8, VALID), (4, 9, VALID)]
    world.feed.refresh()
    world.feed.changed(9, WITHDRAWN)
    world.feed.changed(9, VALID)
    # Suspended and resumed between two readings is told too.
    assert told == [(7, False), (8, True), (9, False)]


def test_nothing_stands_that_nobody_knows_of(world: _World) -> None:
    assert not world.feed.stands(7)
    world.feed.refresh()
    assert world.feed.stands(7)
    world.now += 6
    assert not world.feed.stands(7)
