"""The log's side of witnesses: one thread asks each of them to cosign the newest checkpoint (C2SP tlog-witness).

An append never waits for it. A witness that is down is asked again after pauses that grow; what it did not cosign
meanwhile it need not: the newest checkpoint covers all that came before. Several processes may ask for the same one:
the first answer is kept.

Shared state: none but the stop. All else belongs to the thread.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audit.consistency import path_between
from audit.cosignature import CosignatureVerifier
from audit.note import NoteInvalid, decode_size
from audit.store import Store
from audit.tiles import StoredNodes
from audit.witness import ADD_CHECKPOINT, SIZE_MEDIA_TYPE, write_request

LONGEST_PAUSE = 600.0
"""Seconds between two requests to a witness that fails."""
MOST_TRIES = 3
"""How often a witness that knows another size than expected is asked in one go."""

JOIN_SECONDS = 20.0

_COSIGNED, _OTHER_SIZE = 200, 409
_NEWEST = "SELECT size, note FROM log_checkpoints WHERE size > 0 ORDER BY size DESC LIMIT 1"
_LAST = "SELECT size FROM log_cosignatures WHERE witness = ? ORDER BY size DESC LIMIT 1"
_KEEP = "INSERT INTO log_cosignatures (size, witness, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

Word: TypeAlias = Literal["unreachable", "refused", "invalid", "ahead", "forgot", "failed"]
"""What went wrong: no answer; an answer that is no cosignature; one that does not verify; the witness cosigned a larger
tree than this log has (then the log has lost entries, or its key signs elsewhere); the witness does not know what it
cosigned, and is asked again; anything else."""


@dataclass(frozen=True, slots=True)
class ConfiguredWitness:
    """A witness that this log asks; ``url``: its submission prefix."""

    url: str
    key: CosignatureVerifier


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What came back, not looked at."""

    status: int
    media_type: str
    body: bytes


class WitnessFailed(Exception):
    """Nothing was cosigned; ``word`` says why."""

    def __init__(self, word: Word) -> None:
        super().__init__(word)
        self.word: Word = word


Post: TypeAlias = Callable[[str, bytes], WitnessAnswer]
"""POST a body to a URL, bounded in time and in what is read. Raises ``WitnessFailed('unreachable')``."""


class Witnessing:
    """One per process. :meth:`close` is bounded by the request under way."""

    def __init__(
        self,
        store: Store,
        witnesses: Sequence[ConfiguredWitness],
        *,
        post: Post,
        tell: Callable[[Word, str], None],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        release: Callable[[], None] | None = None,
    ) -> None:
        """``interval``: seconds between two looks at the log. ``tell``: called with what went wrong and with whom.

        ``release``: called at the end, to let go of what ``post`` holds.
        """
        self._store = store
        self._asked = [_Asked(one) for one in witnesses]
        self._post = post
        self._tell = tell
        self._interval = interval
        self._clock = clock
        self._release = release
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witnesses", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=JOIN_SECONDS)
        if self._release is not None:
            self._release()

    def look(self) -> int:
        """Ask the witnesses that are due; how many cosigned."""
        done = 0
        for asked in self._asked:
            if self._stop.is_set() or self._clock() < asked.not_before:
                continue
            try:
                done += self._ask(asked.witness)
                asked.failures, asked.not_before = 0, 0.0
            except WitnessFailed as failed:
                self._put_off(asked, failed.word)
            except Exception:  # noqa: BLE001  # a dead database must not end the thread; the next look is another try
                self._put_off(asked, "failed")
        return done

    def _run(self) -> None:
        # At moments of this process's own: what another one had cosigned need not be asked for.
        while not self._stop.wait(self._interval * random.uniform(0.5, 1.0)):  # noqa: S311  # a moment, not a secret
            self.look()

    def _put_off(self, asked: "_Asked", word: Word) -> None:
        asked.failures += 1
        asked.not_before = self._clock() + min(self._interval * 2.0 ** min(asked.failures, 16), LONGEST_PAUSE)
        self._tell(word, asked.witness.key.name)

    def _ask(self, witness: ConfiguredWitness) -> bool:
        known: int | None = None
        for _ in range(MOST_TRIES):
            request = self._request(witness, known)
            if request is None:
                return False
            answer = self._post(witness.url + ADD_CHECKPOINT, request.body)
            if answer.status == _COSIGNED:
                self._keep(witness, request, answer.body)
                return True
            known = _known_size(answer)
            if known < request.last:
                self._tell("forgot", witness.key.name)
            if known > request.size and known > self._newest_size():
                raise WitnessFailed("ahead")
        raise WitnessFailed("refused")

    def _request(self, witness: ConfiguredWitness, known: int | None) -> "_Request | None":
        """What to ask; ``None`` when the witness has cosigned the newest checkpoint.

        ``known``: the size that the witness says it cosigned last, if it said so.
        """
        with self._store.reading() as read, read.snapshot():
            newest = read.rows(_NEWEST)
            cosigned = read.rows(_LAST, (witness.key.name,))
            last = int(cosigned[0][0]) if cosigned else 0
            if not newest or last == newest[0][0]:
                return None
            size, note = newest[0]
            old = last if known is None else known
            path = path_between(old, size, StoredNodes(read, size).node)
        return _Request(last, size, note, write_request(old, path, note))

    def _newest_size(self) -> int:
        with self._store.reading() as read:
            return read.head().size

    def _keep(self, witness: ConfiguredWitness, request: "_Request", lines: bytes) -> None:
        """Only a cosignature that verifies is kept; lines by other keys are passed over."""
        try:
            line, _ = witness.key.find(request.note + lines.decode())
        except (NoteInvalid, UnicodeDecodeError):
            raise WitnessFailed("invalid") from None
        with self._store.reading() as session:
            session.execute(_KEEP, (request.size, witness.key.name, line))


@dataclass(slots=True)
class _Asked:
    witness: ConfiguredWitness
    failures: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    last: int
    """Size of the last tree whose cosignature by this witness is here."""
    size: int
    note: str
    body: bytes


def _known_size(answer: WitnessAnswer) -> int:
    """The size that the witness names when it cosigned another tree than was thought. Raises :class:`WitnessFailed`."""
    named = answer.media_type.partition(";")[0].strip() == SIZE_MEDIA_TYPE
    if answer.status != _OTHER_SIZE or not named or not answer.body.endswith(b"\n"):
        raise WitnessFailed("refused")
    try:
        return decode_size(answer.body[:-1].decode("ascii"))
    except (NoteInvalid, UnicodeDecodeError):
        raise WitnessFailed("refused") from None
