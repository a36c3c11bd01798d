"""A running process follows its key files, and nothing that happens to them costs it the keys it has."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consent.config import ConsentConfig, FranceConnectConfig
from consent.keys import SealingKeys, TokenKeys
from exchange.key_watch import KeyWatch
from exchange.keyring import IDENTITY, TOKENS, KeyringError, make_keyring
from exchange.rotation import rotate

_NO_KEYS = (
    b"1",
    b'{"kid": 1}',
    b'{"kid": "a"}',
    b'{"kid": "a", "kty": "EC"}',
    b'{"kid": "a", "kty": "oct", "k": "AAAA"}',
    b'{"kid": "a", "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "d": "AAAA"}',
    b'{"kid": "a", "kty": "EC", "crv": "P-999", "x": "AAAA", "y": "AAAA", "d": "AAAA"}',
    b'{"kid": "a", "kty": "EC", "crv": [], "x": 1, "y": 2, "d": 3}',
)
BOTH = (TOKENS, IDENTITY)
START = 1_800_000_000


class _World:
    """A keyring made long ago, a clock, and a process that watches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now: float = START
        make_keyring(folder, log_origin="accord.example/log", now=START - 1000)
        self.watch = KeyWatch(folder, publish_seconds=10, clock=lambda: self.now, poll_seconds=0.01)
        self.first = self.watch.tokens.kid_in_use, self.watch.sealing.kid_in_use

    def rotate(self) -> tuple[str, str]:
        tokens, identity = rotate(self.folder, BOTH, record=lambda _: None, clock=lambda: self.now)
        return tokens.made, identity.made

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        self.watch.refresh()

    @property
    def in_use(self) -> tuple[str, str]:
        return self.watch.tokens.kid_in_use, self.watch.sealing.kid_in_use


@pytest.fixture
def world(tmp_path: Path) -> _World:
    return _World(tmp_path / "keys")


def test_a_new_key_is_published_before_it_is_used(world: _World) -> None:
    new = world.rotate()
    world.pass_seconds(1)
    assert (world.watch.tokens.kids[0], world.watch.sealing.kids[0]) == new
    assert world.in_use == world.first
    assert [jwk["kid"] for jwk in world.watch.tokens.jwks()["keys"]] == [new[0], world.first[0]]
    world.pass_seconds(8)
    assert world.in_use == world.first
    world.pass_seconds(2)
    assert world.in_use == new
    assert world.watch.tokens.kids == (new[0], world.first[0])
    assert world.watch.sealing.kids == (new[1], world.first[1])


def test_a_process_that_starts_in_between_keeps_to_it(world: _World) -> None:
    new = world.rotate()
    world.now += 5
    later = KeyWatch(world.folder, publish_seconds=10, clock=lambda: world.now)
    assert later.tokens.kids[0] == new[0]
    assert later.tokens.kid_in_use == world.first[0]


def test_a_first_key_is_used_at_once_and_two_rotations_at_once_wait_for_their_turn(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keyring(folder, log_origin="accord.example/log", now=START)
    first = KeyWatch(folder, publish_seconds=10, clock=lambda: START)
    rotate(folder, BOTH, record=lambda _: None, clock=lambda: START)
    rotate(folder, BOTH, record=lambda _: None, clock=lambda: START + 5)
    middle = KeyWatch(folder, publish_seconds=10, clock=lambda: START + 12)
    assert first.tokens.kid_in_use == middle.tokens.kids[2]
    assert middle.tokens.kid_in_use == middle.tokens.kids[1]


def test_who_verifies_learns_a_key_before_anything_is_signed_with_it(world: _World) -> None:
    told: list[tuple[str, str]] = []

    def follow(tokens: TokenKeys, sealing: SealingKeys) -> None:
        assert world.in_use == world.first
        told.append((tokens.kid_in_use, sealing.kid_in_use))

    world.watch.follow(follow)
    new = world.rotate()
    world.pass_seconds(1)
    world.pass_seconds(5)
    world.pass_seconds(6)
    world.pass_seconds(1)
    assert told == [world.first, new]


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.sampled_from(["rotate", "one", "other"]), min_size=10, max_size=40), tick=st.floats(0.1, 1.0))
def test_nobody_uses_a_key_that_another_process_does_not_know(
    steps: list[str], tick: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = _World(tmp_path_factory.mktemp("world") / "keys")
    processes = {name: KeyWatch(world.folder, publish_seconds=3, clock=lambda: world.now) for name in ("one", "other")}
    looked = dict.fromkeys(processes, world.now)
    for step in steps:
        world.now += tick
        if step == "rotate":
            world.rotate()
        # Nobody is more than two seconds late; a key waits for three.
        for name in [name for name in processes if name == step or world.now - looked[name] >= 2]:
            processes[name].refresh()
            looked[name] = world.now
        one, other = processes.values()
        for user, reader in ((one, other), (other, one)):
            assert user.tokens.kid_in_use in reader.tokens.kids
            assert user.sealing.kid_in_use in reader.sealing.kids


def test_the_authority_reads_its_keys_where_they_change(world: _World, config: ConsentConfig) -> None:
    new = world.rotate()
    world.pass_seconds(20)
    assert (config.token_keys.kid_in_use, config.sealing_keys.kid_in_use) == new


@pytest.fixture
def config(world: _World) -> ConsentConfig:
    given = FranceConnectConfig("https://fc.example/api/v2", "accord", "secret")
    issuer = "https://accord.example"
    return ConsentConfig(issuer, issuer, given, keys=world.watch, session_key=b"s" * 32, pseudonym_key=b"p" * 32)


def test_any_damage_leaves_the_keys_that_were_there_with_one_warning(world: _World) -> None:
    whole = (world.folder / TOKENS).read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole) - 2, 7)]
    damaged += [b"\xff\xfe", b" " * 1_000_001, b"null", b"[]", b"[" * 9000, b"{}", b'{"keys": {}}', b'{"keys": []}']
    damaged += [b'{"keys": [%s]}' % jwk for jwk in _NO_KEYS]
    with capture_logs() as logs:
        for content in damaged:
            (world.folder / TOKENS).write_bytes(content)
            world.pass_seconds(1)
            assert world.in_use == world.first
    assert [(entry["event"], entry["file"]) for entry in logs] == [("keys_unreadable", TOKENS)]
    (world.folder / TOKENS).write_bytes(whole)
    new = world.rotate()
    world.pass_seconds(12)
    assert world.in_use == new


def test_a_key_with_an_impossible_date_is_no_key(world: _World) -> None:
    jwks = json.loads((world.folder / TOKENS).read_text())
    for date in ("today", None, True, 1.5):
        jwks["keys"][0]["iat"] = date
        (world.folder / TOKENS).write_text(json.dumps(jwks))
        with pytest.raises(KeyringError):
            KeyWatch(world.folder, publish_seconds=10, clock=lambda: START)


def test_a_missing_file_costs_nothing_and_a_broken_one_does_not_hold_the_other_up(world: _World) -> None:
    new = world.rotate()
    (world.folder / IDENTITY).unlink()
    world.pass_seconds(12)
    assert world.in_use == (new[0], world.first[1])


def test_the_thread_follows_by_itself_and_outlives_a_broken_file(world: _World) -> None:
    world.watch.start()
    try:
        whole = (world.folder / TOKENS).read_bytes()
        (world.folder / TOKENS).write_bytes(whole[:50])
        time.sleep(0.1)
        (world.folder / TOKENS).write_bytes(whole)
        new = world.rotate()
        _until(lambda: world.watch.tokens.kids[0] == new[0])
        assert world.in_use == world.first
        world.now += 12
        _until(lambda: world.in_use == new)
    finally:
        world.watch.close()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
