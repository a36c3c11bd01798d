"""A log with everything in it that a verification looks at: withdrawals, single uses, erasures, cosignatures."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from audit.blocks import SEGMENT, lookup_key
from audit.checkpoint import NoteSigner
from audit.cosignature import Cosigner
from audit.folder import Target, write_log_files
from audit.log import Log
from audit.model import Append
from audit.note import SignedNote
from audit.retention import fingerprint
from audit.store import open_store

WITNESS = "witness.example/w"
SIZE = 604
ERASED = tuple(range(3, 43, 4))


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the log is; its notes by size; the key of the witness who cosigned some of them."""

    url: str
    vkey: str
    notes: dict[int, str]
    witness: str

    @property
    def sizes(self) -> list[int]:
        """Of the checkpoints, ascending."""
        return sorted(self.notes)

    def write(self, folder: Path, *, size: int = SIZE, first: int = 0) -> list[str]:
        """Write the log as files; their paths."""
        store = open_store(self.url)
        with closing(store), store.reading() as session:
            return write_log_files(session, into(folder), size=size, first=first, vkey=self.vkey)


def into(folder: Path) -> Target:
    """Writes files below a folder."""

    def write(path: str, chunks: Iterable[bytes]) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"".join(chunks))

    return write


@lru_cache(maxsize=1)
def cosigner() -> Cosigner:
    """The witness."""
    return Cosigner.generate(WITNESS)


def access(number: int, *, grant: str, once: bool = False) -> Append:
    skeleton = {
        "v": 1,
        "kind": "access",
        "time": f"2026-11-24T{number // 60 % 24:02}:{number % 60:02}:00.000Z",
        "request_id": f"request-{number}",
        "outcome": "ok",
        "dataset": ("quotient_familial", "rsa")[number % 2],
        "fields": ["quotient_familial.valeur"],
        "recipient": f"2199000000{number % 5:04}",
    }
    detail = {"citizen": f"citizen-{number % 7}", "grant_id": grant, "access": "once" if once else "recurring"}
    spends = (f"once:{grant}",) if once else (f"dpop:{number}",)
    return Append(skeleton, detail, spends=spends, requires=(f"grant:{grant}",))


def withdrawal(grant: str) -> Append:
    skeleton = {"v": 1, "kind": "grant.withdrawn", "time": "2026-11-24T23:00:00.000Z", "outcome": "ok"}
    sealed = {"citizen": "citizen-1", "grant_id": grant}
    return Append(skeleton | {"request_id": f"end of {grant}"}, sealed, closes=(f"grant:{grant}",))


def erasure(indexes: Sequence[int], appends: Sequence[Append]) -> Append:
    """A retention run that erases these entries of the log that the appends made."""
    skeleton = {
        "v": 1,
        "kind": "retention.applied",
        "time": "2026-11-24T23:30:00.000Z",
        "request_id": "run",
        "outcome": "ok",
        "dataset": "rsa",
        "before": "2026-11-24T00:00:00.000Z",
        "retention": "P6M",
        "erased": len(indexes),
        "first": min(indexes),
        "last": max(indexes),
        "erased_sha256": fingerprint(indexes),
    }
    rare = ((index, name, str(appends[index].detail[name])) for index in indexes for name in ("citizen", "grant_id"))
    lookups = tuple((index // SEGMENT, lookup_key(name, value), index) for index, name, value in rare)
    return Append(skeleton, erases=tuple(indexes), forgets=lookups)


def make_sample(url: str, key: NoteSigner) -> Sample:
    """Fill an empty log of a migrated database with ``SIZE`` entries, and have some of its checkpoints cosigned."""
    appends = [
        access(number, grant=f"g{number % 19}", once=number % 19 == 18 and number > 500) for number in range(560)
    ]
    appends += [withdrawal(f"g{number}") for number in range(12)]
    appends += [erasure(ERASED, appends), erasure((50, 51), appends)]
    appends += [access(number, grant=f"late-{number % 4}", once=number % 9 == 0) for number in range(600, 630)]
    assert len(appends) == SIZE
    with closing(Log.open(open_store(url), key, origin=key.name, timeout=30)) as log:
        for first, end in _batches(len(appends)):
            asyncio.run(_append(log, appends[first:end]))
    store = open_store(url)
    with closing(store), store.reading() as session:
        notes = {row[0]: row[1] for row in session.rows("SELECT size, note FROM log_checkpoints")}
        for size in (*sorted(notes)[::3], SIZE):
            line = cosigner().sign(SignedNote.parse(notes[size]).body, now=1_800_000_000)
            session.execute(
                "INSERT INTO log_cosignatures (size, witness, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (size, WITNESS, line),
            )
    return Sample(url, key.vkey, notes, cosigner().vkey)


def _batches(count: int) -> list[tuple[int, int]]:
    bounds = [0, 1, 90, 180, 255, 256, 300, 390, 480, 513, 560, 574, 590, count]
    return list(pairwise(bounds))


async def _append(log: Log, appends: Sequence[Append]) -> None:
    await asyncio.gather(*(log.append(one) for one in appends))
