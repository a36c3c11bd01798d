"""Rotating keys on disk: a new one in front, nothing lost, nothing half done."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.model import Append, LogUnavailable
from exchange.keyring import IDENTITY, TOKENS, KeyringError, load_keyring, make_keyring
from exchange.rotation import LOCK_FILE, TOKEN_KEY_SECONDS, Rotation, rotate

BOTH = (TOKENS, IDENTITY)
YEAR = 365 * 86_400
NOW = 1_800_000_000


class _Log:
    """Keeps what was appended and what the files held at that moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.appended: list[Append] = []
        self.files: list[dict[str, bytes]] = []

    def record(self, append: Append) -> None:
        self.appended.append(append)
        self.files.append(_files(self._folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    make_keyring(keys, log_origin="accord.example/log", now=NOW - YEAR)
    return keys


def _files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in BOTH}


def _kids(folder: Path, name: str) -> list[str]:
    return [jwk["kid"] for jwk in json.loads((folder / name).read_text())["keys"]]


def _rotate(folder: Path, *, now: float = NOW, names: tuple[str, ...] = BOTH) -> dict[str, Rotation]:
    done = rotate(folder, names, record=_Log(folder).record, clock=lambda: now)
    return {rotation.name: rotation for rotation in done}


def test_a_new_key_stands_in_front_and_the_earlier_one_stays(folder: Path) -> None:
    before = {name: _kids(folder, name) for name in BOTH}
    done = _rotate(folder)
    for name in BOTH:
        assert _kids(folder, name) == [done[name].made, *before[name]]
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        newest = json.loads((folder / name).read_text())["keys"][0]
        assert newest["iat"] == NOW + 1
    keyring = load_keyring(folder)
    assert keyring.tokens.current.kid == done[TOKENS].made
    assert keyring.sealing.current == done[IDENTITY].made
    assert {file.name for file in folder.iterdir()} >= {LOCK_FILE, *BOTH}
    assert not [file for file in folder.iterdir() if file.name.endswith(".new")]


def test_one_kind_rotates_without_the_other(folder: Path) -> None:
    before = _files(folder)
    assert list(_rotate(folder, names=(TOKENS,))) == [TOKENS]
    after = _files(folder)
    assert after[IDENTITY] == before[IDENTITY]
    assert after[TOKENS] != before[TOKENS]


def test_a_token_key_is_dropped_once_nothing_it_signed_can_live(folder: Path) -> None:
    (first,) = _kids(folder, TOKENS)
    second = _rotate(folder)[TOKENS]
    soon = _rotate(folder, now=NOW + TOKEN_KEY_SECONDS)[TOKENS]
    assert (soon.kept, soon.dropped) == ((second.made, first), ())
    later = _rotate(folder, now=NOW + TOKEN_KEY_SECONDS + 2)[TOKENS]
    assert (later.kept, later.dropped) == ((soon.made, second.made), (first,))
    assert _kids(folder, TOKENS) == [later.made, soon.made, second.made]


def test_an_identity_key_is_never_dropped(folder: Path) -> None:
    made = [_rotate(folder, now=NOW + year * YEAR)[IDENTITY].made for year in range(4)]
    assert _kids(folder, IDENTITY)[:-1] == made[::-1]
    assert len(_kids(folder, IDENTITY)) == 5


def test_a_key_that_does_not_say_when_it_was_made_supersedes_nothing(folder: Path) -> None:
    _rotate(folder)
    jwks = json.loads((folder / TOKENS).read_text())["keys"]
    for jwk in jwks:
        del jwk["iat"]
    (folder / TOKENS).write_text(json.dumps({"keys": jwks}))
    assert _rotate(folder, now=NOW + YEAR)[TOKENS].dropped == ()


def test_the_entry_names_the_new_keys_and_comes_before_the_files(folder: Path) -> None:
    before, log = _files(folder), _Log(folder)
    tokens, identity = rotate(folder, BOTH, record=log.record, clock=lambda: NOW)
    (append,) = log.appended
    assert log.files == [before]
    assert append.skeleton["kind"] == "keys.rotated"
    assert (append.skeleton["tokens_made"], append.skeleton["identity_made"]) == (tokens.made, identity.made)
    assert (append.skeleton["tokens_dropped"], append.skeleton["identity_dropped"]) == ([], [])


def test_without_the_log_nothing_is_replaced(folder: Path) -> None:
    before = _files(folder)

    def unavailable(_: Append) -> None:
        raise LogUnavailable("the database did not take the entry")

    with pytest.raises(LogUnavailable):
        rotate(folder, BOTH, record=unavailable, clock=lambda: NOW)
    assert _files(folder) == before
    assert _rotate(folder)


def test_what_is_told_and_logged_holds_no_key(folder: Path) -> None:
    log = _Log(folder)
    rotations = rotate(folder, BOTH, record=log.record, clock=lambda: NOW)
    told = repr(log.appended) + "".join(one.told(publish_seconds=10) for one in rotations) + repr(rotations)
    for name in BOTH:
        for jwk in json.loads((folder / name).read_text())["keys"]:
            assert jwk["kid"] in told or jwk["kid"] in repr(rotations)
            for secret in jwk.keys() & {"d", "k", "x", "y"}:
                assert jwk[secret] not in told


@pytest.mark.parametrize("content", [b"", b'{"keys": [', b"\x00" * 4000])
def test_a_file_that_a_crash_left_beside_harms_nothing(folder: Path, content: bytes) -> None:
    left = folder / (TOKENS + ".new")
    left.write_bytes(content)
    before = load_keyring(folder).tokens.kids
    _rotate(folder)
    assert load_keyring(folder).tokens.kids[1:] == before
    assert not left.exists()


@pytest.mark.parametrize("step", range(1, 7))
def test_a_rotation_that_stops_at_any_step_leaves_keys_that_work(folder: Path, step: int) -> None:
    before = load_keyring(folder)
    with pytest.raises(_Stopped):
        _rotate_often(folder, _stopping(step))
    after = load_keyring(folder)
    assert set(before.tokens.kids) <= set(after.tokens.kids)
    assert set(before.sealing.kids) <= set(after.sealing.kids)
    assert _rotate(folder)[TOKENS].kept == after.tokens.kids


def test_rotations_at_once_lose_no_key(folder: Path) -> None:
    made: list[str] = []

    def one() -> None:
        made.append(_rotate(folder)[TOKENS].made)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 8
    assert set(made) < set(_kids(folder, TOKENS))
    assert len(_kids(folder, IDENTITY)) == 9


def test_a_rotation_waits_for_another_but_not_for_ever(folder: Path) -> None:
    before = _files(folder)

    def second(_: Append) -> None:
        began = time.monotonic()
        with pytest.raises(KeyringError, match="under way"):
            rotate(folder, BOTH, record=lambda _: None, clock=lambda: NOW, lock_seconds=0.2)
        assert time.monotonic() - began < 5
        assert _files(folder) == before

    rotate(folder, BOTH, record=second, clock=lambda: NOW)
    assert len(_kids(folder, TOKENS)) == 2


def test_a_folder_that_cannot_be_written_is_said_and_nothing_changes(folder: Path) -> None:
    before = _files(folder)
    # What root cannot write over either: something else stands where the new file goes.
    (folder / f"{TOKENS}.new").mkdir()
    with pytest.raises(KeyringError, match="cannot be"):
        _rotate(folder)
    assert _files(folder) == before


def test_a_new_file_belongs_to_whom_the_old_one_did(folder: Path) -> None:
    # Only root gives files away; anybody else keeps hers.
    owner, group = (10_001, 10_001) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(folder / TOKENS, owner, group)
    _rotate(folder)
    assert ((folder / TOKENS).stat().st_uid, (folder / TOKENS).stat().st_gid) == (owner, group)


def _rotate_often(folder: Path, clock: Callable[[], float]) -> None:
    for _ in range(10):
        rotate(folder, BOTH, record=lambda _: None, clock=clock)


class _Stopped(Exception):
    pass


def _stopping(step: int) -> Callable[[], float]:
    """A clock that stops the one who asks it for the ``step``-th time: it is asked between all steps."""
    asked = 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        if asked == step:
            raise _Stopped
        return NOW

    return clock
