"""``accord keys rotate``: a new key in front of the others, on disk and in the log, while everything runs.

In this order, so that a crash at any step harms nothing:

1. wait for the lock: two rotations at once are one after the other
2. make the keys, in memory
3. append the entry: no log, no rotation. A crash here leaves an entry of keys that never were
4. write each file beside its own, durably, and put it in its place by one rename; a file left beside it is never read

What is dropped: a token key that was superseded longer ago than anything it signed can live. An identity key never is:
grants sealed with it may live for years and be renewed.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from audit.log import Log
from audit.model import Append, LogUnavailable
from audit.store import open_store
from exchange import journal
from exchange.database import open_engine, pending_migrations
from exchange.keyring import (
    IDENTITY,
    TOKENS,
    Jwk,
    KeyringError,
    jwks_text,
    load_jwks,
    load_keyring,
    made_at,
    make_jwk,
    write_private,
)
from exchange.settings import Settings

TOKEN_KEY_SECONDS = 3600
"""How long a superseded token key still verifies: until a new one signs (15 minutes at most), then a token's life
(10 minutes at most), and a margin."""
LOCK_SECONDS = 30.0
LOCK_FILE = "rotation.lock"

_NEW = ".new"
_PAUSE = 0.1
_USES = {TOKENS: "tokens", IDENTITY: "identity"}


@dataclass(frozen=True, slots=True)
class Rotation:
    """What happened to one file, by ``kid``: nothing of it is secret."""

    name: str
    made: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def use(self) -> str:
        """``tokens`` or ``identity``."""
        return _USES[self.name]

    def told(self, *, publish_seconds: float) -> str:
        """A line for the operator."""
        signs, verifies = ("signs", "verify") if self.name == TOKENS else ("seals", "open")
        dropped = f", {len(self.dropped)} out of use dropped" if self.dropped else ""
        return (
            f"{self.use:<9} {self.made} {signs} in {publish_seconds:.0f} seconds; "
            f"earlier keys that still {verifies}: {len(self.kept)}{dropped}"
        )


def rotate_keys(settings: Settings, names: Sequence[str]) -> list[Rotation]:
    """Rotate the keys of ``names``. Raises :class:`KeyringError` or ``LogError``; nothing is replaced then."""
    keyring = load_keyring(settings.keys_dir)
    _check_database(settings.database_url)
    store = open_store(settings.database_url)
    with closing(Log.open(store, keyring.log, origin=settings.log_origin, timeout=settings.log_timeout)) as log:
        return rotate(settings.keys_dir, names, record=log.append_blocking, clock=time.time)


def _check_database(url: str) -> None:
    engine = open_engine(url)
    try:
        if pending_migrations(engine):
            raise LogUnavailable("the database is not at the newest version: run 'accord db migrate'")
    finally:
        engine.dispose()


def rotate(
    folder: Path,
    names: Sequence[str],
    *,
    record: Callable[[Append], object],
    clock: Callable[[], float],
    lock_seconds: float = LOCK_SECONDS,
) -> list[Rotation]:
    """Put a new key in front of each file, once ``record`` has made the entry durable.

    Raises :class:`KeyringError`, and whatever ``record`` raises: nothing is replaced then.
    """
    with _locked(folder, lock_seconds):
        planned = [(name, make_jwk(name), *_parted(name, load_jwks(folder, name), now=clock())) for name in names]
        rotations = [Rotation(name, new["kid"], _kids(kept), _kids(dropped)) for name, new, kept, dropped in planned]
        record(_entry(rotations, now=clock()))
        for name, new, kept, _ in planned:
            # The age counts from when others can read it, not from before the log was written; never too early.
            _replace(folder / name, jwks_text([new | {"iat": int(clock()) + 1}, *kept]))
    return rotations


def _parted(name: str, jwks: list[Jwk], *, now: float) -> tuple[list[Jwk], list[Jwk]]:
    """What is kept and what is dropped. A key is superseded by the one before it; one that does not say when, never."""
    if name != TOKENS:
        return jwks, []
    ends = [made_at(newer) for newer in jwks[:-1]]
    dropped = [jwk for jwk, end in zip(jwks[1:], ends, strict=True) if 0 < end < now - TOKEN_KEY_SECONDS]
    return [jwk for jwk in jwks if jwk not in dropped], dropped


def _entry(rotations: list[Rotation], *, now: float) -> Append:
    return journal.keys_rotated(
        {rotation.use: rotation.made for rotation in rotations},
        {rotation.use: rotation.dropped for rotation in rotations},
        request_id=str(uuid4()),
        now=now,
    )


def _kids(jwks: list[Jwk]) -> tuple[str, ...]:
    return tuple(jwk["kid"] for jwk in jwks)


def _replace(path: Path, text: str) -> None:
    """Another content under the same name, for the same owner: whole or not at all, and durable."""
    new = path.with_name(path.name + _NEW)
    try:
        # What a crash left: under the lock nobody else writes it.
        new.unlink(missing_ok=True)
        write_private(new, text)
        _give(new, path.stat())
        new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyringError(f"{path} cannot be replaced: {error.strerror}") from None


def _give(new: Path, replaced: os.stat_result) -> None:
    """The processes that read the old file must be able to read the new one, whoever runs the command."""
    made = new.stat()
    if (made.st_uid, made.st_gid) != (replaced.st_uid, replaced.st_gid):
        os.chown(new, replaced.st_uid, replaced.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path, seconds: float) -> Iterator[None]:
    """Alone on this folder. The system lets go of the lock of a process that dies."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyringError(f"{folder} cannot be locked: {error.strerror}") from None
    try:
        _wait_for(descriptor, folder, seconds)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise KeyringError(f"{folder}: another rotation is under way; nothing was replaced") from None
            time.sleep(_PAUSE)
        else:
            return
