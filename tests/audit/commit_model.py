"""What the log must be: a model, and the log as it is read, held against it and against what was told."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from audit.blocks import SEGMENT, lookup_key
from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.merkle import Frontier, leaf_hash
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append
from audit.proof import TlogProof
from audit.store import open_store
from tests.audit.commit_process import LATE, LOST, NOT_TAKEN, Answer, Asked
from tests.audit.conftest import ORIGIN

FIRST = [
    Asked("first-proof", "another", proof="first"),
    Asked("first-once", "first", once=True, per_day=2),
    Asked("first-end", "first", withdraws=True),
    *(Asked(f"first-{number}", "another") for number in range(252)),
]
"""What each log holds already: the next entry fills a tile and a block, which its commit writes too."""


@dataclass(slots=True)
class Model:
    """What each entry must be, one after the other."""

    spent: dict[str, int] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    erased: dict[int, int] = field(default_factory=dict)

    def judge(self, index: int, append: Append) -> tuple[str | None, list[str]]:
        """Why it is refused, or the keys that it spends."""
        slots = [slot for slot in append.one_of if slot not in self.spent]
        if self.closed.keys() & append.requires:
            return GRANT_CLOSED, []
        if self.spent.keys() & append.spends:
            return ALREADY_SPENT, []
        if self.closed.keys() & append.closes:
            return GRANT_CLOSED, []
        if append.one_of and not slots:
            return ALREADY_SPENT, []
        spends = [*append.spends, *slots[:1]]
        self.spent |= dict.fromkeys(spends, index)
        self.closed |= dict.fromkeys(append.closes, index)
        self.erased |= dict.fromkeys(append.erases, index)
        for kept in (self.spent, self.closed):
            for key in append.releases:
                if kept.get(key) in self.erased:
                    del kept[key]
        return None, spends


@dataclass(frozen=True, slots=True)
class Arena:
    """Where examples run: each on a log of its own, which already holds a few entries."""

    template: str
    key: NoteSigner

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a copy."""
        if self.template.startswith("sqlite"):
            path = Path(self.template.removeprefix("sqlite:///"))
            copy = path.with_name(f"{uuid4().hex}.sqlite")
            shutil.copy(path, copy)
            yield f"sqlite:///{copy}"
            return
        url, name = make_url(self.template), f"accord_{uuid4().hex}"
        server = url.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{url.database}"')
            try:
                yield url.set(database=name).render_as_string(hide_password=False)
            finally:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def arena_of(database_url: str, key: NoteSigner) -> Arena:
    """Begin the log of a database that is copied for each example."""
    log = Log.open(open_store(database_url), key, origin=ORIGIN)
    asyncio.run(_begin(log))
    log.close()
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Arena(database_url, key)


async def _begin(log: Log) -> None:
    await asyncio.gather(*(log.append(one.append()) for one in FIRST))


class Observed:
    """The log as it is read after every step, held against the model and against what the callers were told."""

    def __init__(self, url: str, key: NoteSigner) -> None:
        self._store, self._verifier = open_store(url), key.verifier()
        self._model = Model()
        self._frontier = Frontier()
        self._asked = {one.request_id: one for one in FIRST}
        self._index: dict[str, int] = {}
        self._leaves: list[bytes] = []
        self._sealed: dict[int, str] = {}
        """The grants of the entries whose details are there."""
        self._forgotten: set[tuple[int, int, int]] = set()
        self._unanswered: dict[str, str] = {}
        self.check([])

    @property
    def size(self) -> int:
        return self._frontier.size

    def will_be_asked(self, asked: Sequence[Asked]) -> None:
        self._asked |= {one.request_id: one for one in asked}

    def erasing(self, count: int) -> Asked:
        """An erasure of the oldest details that are there, with their lookups, and every key that they used."""
        oldest = dict(islice(self._sealed.items(), count))
        kept = (self._model.spent, self._model.closed)
        return Asked(
            "",
            "",
            erases=tuple(oldest),
            forgets=tuple(
                (index // SEGMENT, lookup_key(name, value), index)
                for index, grant in oldest.items()
                for name, value in (("citizen", "c"), ("grant_id", grant))
            ),
            releases=tuple(key for some in kept for key, index in some.items() if index in oldest),
        )

    def check(self, answers: Sequence[Answer]) -> None:
        """Take in what was written since, and what the callers were told."""
        before = self.size
        with self._store.reading() as session, session.snapshot():
            statement = (
                'SELECT e."index", e.leaf, d.detail FROM log_entries e JOIN log_details d ON d."index" = e."index" '
                'WHERE e."index" >= ? ORDER BY e."index"'
            )
            for index, leaf, detail in session.rows(statement, (before,)):
                self._entry(index, bytes(leaf), json.loads(bytes(detail)))
            head = session.head()
            spent = dict(session.rows('SELECT key, "index" FROM log_spent_keys'))
            closed = dict(session.rows('SELECT key, "index" FROM log_closed_keys'))
            erased = dict(session.rows('SELECT "index", by FROM log_erased'))
            details = {row[0] for row in session.rows('SELECT "index" FROM log_details')}
            lookups = {tuple(row) for row in session.rows('SELECT segment, key, "index" FROM log_lookups')}
        assert (head.size, head.frontier, head.root) == (self.size, self._frontier.hashes, self._frontier.root)
        assert (spent, closed, erased) == (self._model.spent, self._model.closed, self._model.erased)
        assert details == set(range(self.size)) - erased.keys()
        assert lookups.isdisjoint(self._forgotten)
        for answer in answers:
            self._answered(answer, since=before)

    def settle(self) -> None:
        """At the end: each entry was answered, or its caller may have been left without an answer."""
        told = {rid for rid, error in self._unanswered.items() if rid in self._index and error == NOT_TAKEN}
        assert not told, "an append that was told to have failed is in the log"

    def holds(self, request_id: str) -> bool:
        return request_id in self._index

    def close(self) -> None:
        self._store.close()

    def _entry(self, index: int, leaf: bytes, detail: dict[str, str]) -> None:
        assert index == self._frontier.size, "a gap"
        self._frontier.push(leaf_hash(leaf))
        self._leaves.append(leaf)
        skeleton = json.loads(leaf)
        asked = self._asked[skeleton["request_id"]]
        assert asked.request_id not in self._index, "an entry twice"
        self._index[asked.request_id] = index
        if not asked.erases:
            self._sealed[index] = asked.grant
        for gone in asked.erases:
            del self._sealed[gone]
        self._forgotten.update(asked.forgets)
        refused, spends = self._model.judge(index, asked.append())
        expected = (asked.kind, "ok") if refused is None else ("refusal", refused)
        assert (skeleton["kind"], skeleton["outcome"]) == expected
        assert detail.get("spent", "").split() == spends

    def _answered(self, answer: Answer, *, since: int) -> None:
        receipt = answer.receipt
        if receipt is None:
            assert answer.error in (LOST, LATE, NOT_TAKEN)
            self._unanswered[answer.request_id] = answer.error
            return
        assert self._index.get(answer.request_id) == receipt.index, "an answer without its entry"
        assert receipt.index >= since, "older than what asked for it"
        leaf = self._leaves[receipt.index]
        outcome = json.loads(leaf)["outcome"]
        assert outcome == (receipt.refused or "ok")
        proof = TlogProof.parse(receipt.proof)
        assert proof.index == receipt.index
        proof.verify(leaf_hash(leaf), self._verifier)
