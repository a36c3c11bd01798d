"""The keys that change while a process runs, kept as their files say by one thread.

The thread looks at the files' times and sizes; a changed file is read and its keys replaced whole. A file that is
missing, half written or broken changes nothing: the keys read before stay, with one warning until it is right again.

A new key is published before it is used: until it is ``publish_seconds`` old it verifies and opens only, and an
earlier one signs and seals. By then every other process has read it, whichever of them a request goes to next.

Shared state: one pair of immutable keys, replaced by one assignment of the thread and read without a lock.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

from consent.keys import SealingKeys, TokenKeys
from exchange.keyring import IDENTITY, TOKENS, KeyringError, load_sealing_keys, load_token_keys
from exchange.logs import log, log_defect

POLL_SECONDS = 1.0

Follower: TypeAlias = Callable[[TokenKeys, SealingKeys], None]


class _Keys(Protocol):
    @property
    def kids(self) -> tuple[str, ...]: ...

    @property
    def kid_in_use(self) -> str: ...


_K = TypeVar("_K", bound=_Keys)


class KeyWatch:
    """Fills ``consent.keys.AuthorityKeys``, and tells who verifies."""

    def __init__(
        self, folder: Path, *, publish_seconds: float, clock: Callable[[], float], poll_seconds: float = POLL_SECONDS
    ) -> None:
        """Read the keys. Raises ``KeyringError``."""
        self._publish_seconds = publish_seconds
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._tokens = _Watched(folder, TOKENS, load_token_keys, made_before=self._made_before())
        self._sealing = _Watched(folder, IDENTITY, load_sealing_keys, made_before=self._made_before())
        self._keys = self._tokens.keys, self._sealing.keys
        self._followers: list[Follower] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    @property
    def tokens(self) -> TokenKeys:
        """The keys of consent tokens."""
        return self._keys[0]

    @property
    def sealing(self) -> SealingKeys:
        """The keys that seal identities."""
        return self._keys[1]

    def follow(self, follower: Follower) -> None:
        """Tell ``follower`` the keys whenever they change, before anything is signed with them. Call before start."""
        self._followers.append(follower)

    def start(self) -> None:
        """Look once, so that the first request meets the newest keys, then keep looking."""
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; bounded by one reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def refresh(self) -> None:
        """Take over what changed: a file, or the age of its newest key."""
        made_before = self._made_before()
        changed = [watched.refresh(made_before) for watched in (self._tokens, self._sealing)]
        if not any(changed):
            return
        keys = self._tokens.keys, self._sealing.keys
        for follower in self._followers:
            follower(*keys)
        self._keys = keys
        log.info("keys_changed", signs=keys[0].kid_in_use, seals=keys[1].kid_in_use)

    def _made_before(self) -> float:
        return self._clock() - self._publish_seconds

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(self._poll_seconds):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001  # whatever it was, the keys in use stay and the thread goes on
                if not failing:
                    log_defect(error, "keys")
                failing = True
            else:
                failing = False


class _Watched(Generic[_K]):
    """One file and the keys last read from it. Raises ``KeyringError`` when made on a file that cannot be read."""

    def __init__(self, folder: Path, name: str, load: Callable[..., _K], *, made_before: float) -> None:
        self._folder = folder
        self._name = name
        self._load = load
        self._unreadable = False
        self._stamp = self._look()
        self.keys: _K = load(folder, made_before=made_before)

    def refresh(self, made_before: float) -> bool:
        """Whether there are other keys now, or another one is in use."""
        stamp = self._look()
        same = stamp == self._stamp
        if same and self.keys.kids[0] == self.keys.kid_in_use:
            return False
        try:
            keys = self._load(self._folder, made_before=made_before)
        except KeyringError:
            # Nothing is noted of the file: it is read again until it is right.
            if not self._unreadable:
                log.warning("keys_unreadable", file=self._name)
            self._unreadable = True
            return False
        self._unreadable = False
        if same and keys.kid_in_use == self.keys.kid_in_use:
            return False
        self._stamp, self.keys = stamp, keys
        return True

    def _look(self) -> tuple[int, int, int] | None:
        try:
            seen = (self._folder / self._name).stat()
        except OSError:
            return None
        return seen.st_mtime_ns, seen.st_size, seen.st_ino
