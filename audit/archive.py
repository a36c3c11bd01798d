"""A period of the log as a transfer to an archives service (SEDA 2.3), which verifies without Accord.

In this order, so that a crash at any step harms nothing:

1. refuse a period that is not over, and a target that is there
2. find the entries of the period, and the first signed checkpoint that covers them
3. write the content and then the manifest, which has every file's digest, under a hidden name, from one snapshot
4. verify what was written as whoever receives it will: the package against its manifest, the log in it from its bytes
5. record the act: an entry with the manifest's hash. No log, no archive. A crash here leaves an entry of an archive
   that got no name: the log may say more than left, never less. The entry cannot come first, as a key rotation's does:
   the manifest's hash is known only now
6. give the archive its name

Sealed details are left out unless asked for: an archive outlives the retention at whose end they must be erased, and
the entries verify without them.
"""

import calendar
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Literal, Self

import orjson

from audit.blocks import BLOCK, seconds_of
from audit.folder import write_log_files
from audit.instructions import VERIFIER, instructions, standalone_verifier
from audit.layout import WIDTH, LayoutInvalid
from audit.model import LogBroken
from audit.package import Draft, new_draft, opened
from audit.package_check import check_package
from audit.replay.run import verify
from audit.seda import CONTENT, MANIFEST, Agreement, Archived, PackagedFile, Transfer, manifest_lines, unit_of
from audit.sources.files import CHECKPOINTS, ERASED
from audit.sources.package import log_of
from audit.sources.port import SourceUnavailable
from audit.store import Session

SETTLED_SECONDS = 3600
"""How long after its end a period may still get entries: an entry's time is a little before it is written."""

_LINE_BYTES = 300
"""More than a line of a list has besides an origin."""
_PERIOD = re.compile(r"(2[0-9]{3})(?:-(0[1-9]|1[0-2]))?", re.ASCII)
_BLOCKS = "SELECT block FROM log_blocks WHERE last_time >= ? AND first_time < ? ORDER BY block"
_LEAVES = 'SELECT "index", leaf FROM log_entries WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
_COVERING = "SELECT min(size) FROM log_checkpoints WHERE size >= ?"


class ArchiveRefused(Exception):
    """No archive was made; the message says why and, where something can be done, what."""


class ArchiveUnsound(Exception):
    """What was written does not verify, so it was not kept."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year, in UTC."""

    label: str
    starts: date
    ends: date
    """The last day."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2026-10`` or ``2026``. Raises :class:`ArchiveRefused`."""
        found = _PERIOD.fullmatch(text)
        if found is None:
            raise ArchiveRefused("a period is a month such as 2026-10 or a year such as 2026")
        year, month = int(found[1]), int(found[2] or 0)
        last = month or 12
        return cls(text, date(year, month or 1, 1), date(year, last, calendar.monthrange(year, last)[1]))

    @property
    def since(self) -> int:
        """Unix seconds, the first moment that belongs to it."""
        return _seconds(self.starts)

    @property
    def until(self) -> int:
        """Unix seconds, the first moment after it."""
        return _seconds(self.ends + timedelta(days=1))

    def check_over(self, now: float) -> None:
        """Raises :class:`ArchiveRefused` while entries of the period may still come."""
        settled = self.until + SETTLED_SECONDS
        if now < settled:
            at = datetime.fromtimestamp(settled, UTC)
            raise ArchiveRefused(f"{self.label} is not complete: it can be archived from {at:%Y-%m-%d %H:%M} UTC on")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be archived: ``vkey`` is the log's verifier key, ``now`` Unix seconds."""

    period: Period
    target: Path
    details: bool
    agreement: Agreement
    vkey: str
    now: float


def make_archive(session: Session, asked: Asked, *, record: Callable[[Archived], object]) -> Archived:
    """Write the archive, verify it, record it, publish it.

    Raises :class:`ArchiveRefused`, ``StoreError``, ``LogBroken`` when the log is not whole, and whatever ``record``
    raises; nothing is left then.
    """
    # 1.
    asked.period.check_over(asked.now)
    if asked.details and not asked.agreement.details_rule:
        raise ArchiveRefused("with details, an archive needs the rule at whose end the archives service destroys them")
    try:
        return _make(session, asked, record)
    except LayoutInvalid as error:
        raise ArchiveRefused(f"{error}; no archive was made") from None
    except OSError as error:
        raise ArchiveRefused(f"{asked.target}: {error.strerror or type(error).__name__}; no archive was made") from None


def _make(session: Session, asked: Asked, record: Callable[[Archived], object]) -> Archived:
    draft = new_draft(asked.target)
    try:
        # 2. and 3.
        with session.snapshot():
            archived = _write(session, asked, draft)
        draft.finish()
        # 4.
        _verify(draft.path, asked.vkey)
        # 5.
        record(archived)
        # 6.
        draft.publish()
    finally:
        draft.discard()
    return archived


def _verify(package: Path, vkey: str) -> None:
    """Raises :class:`ArchiveUnsound` when what was written is not what whoever receives it can verify."""
    with opened(package) as written:
        findings = check_package(written).findings
    try:
        verdict = verify(log_of(package), vkey)
    except SourceUnavailable as unavailable:
        raise ArchiveUnsound([*findings, str(unavailable)]) from None
    if findings or not verdict.ok:
        raise ArchiveUnsound([*findings, *map(str, verdict.findings)])


def entries_of(session: Session, period: Period) -> range:
    """From the first entry of the period to the last. Raises :class:`ArchiveRefused` when it has none.

    Entries are nearly in the order of their times: the range may hold a few of the periods beside it, never fewer than
    the period's own.
    """
    size = session.head().size
    blocks = [row[0] for row in session.rows(_BLOCKS, (period.since, period.until))]
    if size % BLOCK:
        # What no block says yet.
        blocks.append(size // BLOCK)
    first = next((found[0] for block in blocks if (found := _found(session, period, block))), None)
    if first is None:
        raise ArchiveRefused(f"{period.label}: the log has no entry of that period")
    last = next(found[-1] for block in reversed(blocks) if (found := _found(session, period, block)))
    return range(first, last + 1)


def _found(session: Session, period: Period, block: int) -> list[int]:
    """The indexes of a block's entries that are of the period."""
    rows = session.rows(_LEAVES, (block * BLOCK, (block + 1) * BLOCK))
    return [row[0] for row in rows if period.since <= seconds_of(orjson.loads(row[1])) < period.until]


def _write(session: Session, asked: Asked, draft: Draft) -> Archived:
    entries, period = entries_of(session, asked.period), asked.period
    size = session.rows(_COVERING, (entries.stop,))[0][0]
    if size is None:
        raise LogBroken("no signed checkpoint covers the entries; find out with 'accord audit verify'")
    transfer = Transfer(
        asked.agreement,
        origin=asked.vkey.partition("+")[0],
        period=period.label,
        starts=period.starts,
        ends=period.ends,
        first=entries.start,
        last=entries.stop - 1,
        size=size,
        details=asked.details,
        made_at=asked.now,
    )
    content = _Content(draft, details=asked.details, list_bytes=_most_bytes_of_a_list(transfer))
    write_log_files(session, content.take, size=size, first=transfer.first, vkey=asked.vkey)
    for name, text in instructions(transfer, asked.vkey).items():
        content.take(name, [text])
    content.take(VERIFIER, [standalone_verifier()])
    files = sorted(content.files, key=lambda file: file.path)
    digest = _Digest("sha256")
    draft.write(MANIFEST, digest.over(line.encode() for line in manifest_lines(transfer, files)))
    return Archived(period.label, transfer.first, transfer.last, size, asked.details, len(files), digest.hexadecimal())


def _most_bytes_of_a_list(transfer: Transfer) -> int:
    """A line for each entry; the longest, a checkpoint's, has the origin twice."""
    return (transfer.size - transfer.first + WIDTH) * (_LINE_BYTES + 2 * len(transfer.origin))


class _Content:
    """Writes the files of the content and keeps what the manifest says of them, not the files."""

    def __init__(self, draft: Draft, *, details: bool, list_bytes: int) -> None:
        self._draft = draft
        self._details = details
        self._list_bytes = list_bytes
        self.files: list[PackagedFile] = []

    def take(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file, unless it is left out.

        Details that were not asked for; and a bundle's when all of them were erased: archives systems do not like empty
        files. What was erased is there even when that is nothing: it tells an erased detail from a missing one.
        """
        if unit_of(path) == "details" and not self._details:
            return
        content = filter(None, chunks)
        begun = list(islice(content, 1))
        if begun or path == ERASED:
            digest = _Digest("sha512")
            at_most = self._list_bytes if path in {CHECKPOINTS, ERASED} else 0
            self._draft.write(CONTENT + path, digest.over(chain(begun, content)), at_most=at_most)
            self.files.append(PackagedFile(path, digest.size, digest.hexadecimal()))


class _Digest:
    """Hashes chunks, and counts their bytes, on their way to where they are written."""

    def __init__(self, algorithm: Literal["sha256", "sha512"]) -> None:
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    def hexadecimal(self) -> str:
        return self._hash.hexdigest()


def _seconds(day: date) -> int:
    return calendar.timegm(day.timetuple())
