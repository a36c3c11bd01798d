"""The commit against a model of ten lines: real processes append, crash, fail and wait in every order, on each engine.

Up to three processes write one log. After every step the log is read and must be what the model says: no gap, no entry
lost or doubled, no key spent twice, no access after its withdrawal, no answer without its entry. An entry without an
answer is allowed for an append whose process died or whose wait ended, and for no other.

A few examples run with the suite; ``EXAMPLES=1000 pytest tests/audit/test_commit_machine.py`` looks further.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import make_url

from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.merkle import Frontier, leaf_hash
from audit.model import ALREADY_SPENT, GRANT_CLOSED, Append
from audit.proof import TlogProof
from audit.store import open_store
from audit.verify_database import verify_database
from tests.audit.commit_process import LATE, LOST, NOT_TAKEN, Answer, Asked, Fault, Writer
from tests.audit.conftest import ORIGIN

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(3_600)]

EXAMPLES = int(os.environ.get("EXAMPLES", "12"))
STEPS = 15
WRITERS = 3
TIMEOUT = 0.5
FIRST = [Asked(f"first-{number}", "another") for number in range(255)]
"""What each log holds already: the next entry fills a tile and a block, which its commit writes too."""


@dataclass(slots=True)
class Model:
    """What each entry must be, one after the other."""

    spent: dict[str, int] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)

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
            yield url.set(database=name).render_as_string(hide_password=False)
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def arena(database_url: str, key: NoteSigner) -> Arena:
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
        self._unanswered: dict[str, str] = {}
        self.check([])

    @property
    def size(self) -> int:
        return self._frontier.size

    def will_be_asked(self, asked: Sequence[Asked]) -> None:
        self._asked |= {one.request_id: one for one in asked}

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
        assert (head.size, head.frontier, head.root) == (self.size, self._frontier.hashes, self._frontier.root)
        assert (spent, closed) == (self._model.spent, self._model.closed)
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


_asked = st.builds(
    partial(Asked, ""),
    grant=st.sampled_from("abcdef"),
    withdraws=st.sampled_from([False] * 7 + [True]),
    proof=st.none() | st.integers(0, 40).map(str),
    once=st.sampled_from([False, False, True]),
    per_day=st.sampled_from([0, 2, 3]),
)
_several = st.lists(_asked, min_size=1, max_size=10)
_faults = st.builds(Fault, st.integers(0, 16), dies=st.just(value=True), after=st.booleans())
_failures = st.builds(Fault, st.integers(1, 10), dies=st.just(value=False))


class CommitMachine(RuleBasedStateMachine):
    """The steps. Each waits until all that it asked was answered, so that the model knows what may be missing."""

    def __init__(self, arena: Arena) -> None:
        super().__init__()
        self._life = ExitStack()
        self._key = arena.key
        self._url = self._life.enter_context(arena.fresh())
        self._observed = Observed(self._url, arena.key)
        self._life.callback(self._observed.close)
        self._writers: list[Writer] = []
        self._life.callback(lambda: [writer.kill() for writer in self._writers])
        self._number = 0
        self._told: list[Answer] = []

    @initialize()
    def first(self) -> None:
        self.start()

    @precondition(lambda self: len(self._writers) < WRITERS)
    @rule()
    def start(self) -> None:
        self._writers.append(Writer(self._url, self._key, timeout=TIMEOUT))

    @precondition(lambda self: self._writers)
    @rule(which=st.integers(0, WRITERS - 1))
    def stop(self, which: int) -> None:
        self._writers.pop(which % len(self._writers)).close()

    @precondition(lambda self: self._writers)
    @rule(which=st.integers(0, WRITERS - 1), asked=_several)
    def append(self, which: int, asked: list[Asked]) -> None:
        self._ask([(which, asked, None)])

    @precondition(lambda self: len(self._writers) > 1)
    @rule(asked=st.lists(st.tuples(_several, st.none() | _faults | _failures), min_size=WRITERS, max_size=WRITERS))
    def append_on_all(self, asked: list[tuple[list[Asked], Fault | None]]) -> None:
        self._ask([(which, each, fault) for which, (each, fault) in enumerate(asked[: len(self._writers)])])

    @precondition(lambda self: self._writers)
    @rule(which=st.integers(0, WRITERS - 1), asked=_several, fault=_faults)
    def crash_at_a_statement(self, which: int, asked: list[Asked], fault: Fault) -> None:
        self._ask([(which, asked, fault)])

    @precondition(lambda self: self._writers)
    @rule(asked=_several, after=st.floats(0, 0.03))
    def crash_at_a_moment(self, asked: list[Asked], after: float) -> None:
        def kill() -> None:
            time.sleep(after)
            self._writers[0].kill()

        self._ask([(which, asked[which::WRITERS], None) for which in range(len(self._writers))], kill)

    @precondition(lambda self: self._writers)
    @rule(which=st.integers(0, WRITERS - 1), asked=_several, fault=_failures)
    def fail_at_a_statement(self, which: int, asked: list[Asked], fault: Fault) -> None:
        self._ask([(which, asked, fault)])

    @precondition(lambda self: self._writers)
    @rule(asked=_several, seconds=st.sampled_from([0.02, 0.1, TIMEOUT + 0.2]), fault=st.none() | _faults)
    def wait_for_a_lock(self, asked: list[Asked], seconds: float, fault: Fault | None) -> None:
        with closing(open_store(self._url).connect()) as session, ExitStack() as held:
            held.enter_context(session.locked([], []))

            def let_go() -> None:
                time.sleep(seconds)
                held.close()

            each = [(which, asked[which::WRITERS], fault) for which in range(len(self._writers))]
            self._ask(each, let_go)

    @invariant()
    def the_log_is_what_the_model_says(self) -> None:
        told, self._told = self._told, []
        self._observed.check(told)

    def teardown(self) -> None:
        with self._life:
            for writer in self._writers:
                writer.close()
            self._observed.check([])
            self._observed.settle()
            verdict = verify_database(self._url, self._key.vkey)
            assert verdict.ok, verdict.findings
            assert verdict.size == self._observed.size

    def _ask(
        self, orders: list[tuple[int, list[Asked], Fault | None]], meanwhile: Callable[[], None] | None = None
    ) -> None:
        started = []
        for which, asked, fault in orders:
            named = [self._named(one) for one in asked]
            self._observed.will_be_asked(named)
            writer = self._writers[which % len(self._writers)]
            writer.ask(named, fault)
            started.append((writer, named))
        if meanwhile is not None:
            meanwhile()
        for writer, named in started:
            self._told += writer.answers(named)
            if writer.died():
                self._writers.remove(writer)

    def _named(self, asked: Asked) -> Asked:
        self._number += 1
        return replace(asked, request_id=str(self._number))


def test_no_order_of_appends_crashes_failures_and_waits_leads_the_log_astray(arena: Arena) -> None:
    run_state_machine_as_test(
        partial(CommitMachine, arena),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # What processes do is not repeated exactly: an example is shown as it was found.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


_EVERYTHING = Asked("", "g", proof="p", once=True, per_day=2)


def test_a_writer_that_dies_at_any_statement_of_its_commit_leaves_all_of_it_or_nothing(arena: Arena) -> None:
    with arena.fresh() as url, closing(Observed(url, arena.key)) as observed:
        points = [Fault(number, after=after) for number in range(1, 40) for after in (False, True)]
        for number, point in enumerate(points):
            died = _one(url, arena.key, observed, replace(_EVERYTHING, request_id=str(number)), point)
            if not died:
                break
        else:
            pytest.fail("a commit has fewer statements")
        assert number > 2 * 10, "the tables that a commit writes"
        _one(url, arena.key, observed, Asked("told nobody", "h"), Fault(0))
        assert observed.holds("told nobody")


def _one(url: str, key: NoteSigner, observed: Observed, asked: Asked, fault: Fault) -> bool:
    """Whether the writer died of it."""
    writer = Writer(url, key, timeout=30)
    observed.will_be_asked([asked])
    writer.ask([asked], fault)
    observed.check(list(writer.answers([asked])))
    verdict = verify_database(url, key.vkey)
    assert verdict.ok, verdict.findings
    died = writer.died()
    if not died:
        writer.close()
    return died


def test_a_batch_that_fails_at_any_statement_leaves_nothing_and_the_next_goes_on(arena: Arena) -> None:
    with arena.fresh() as url, closing(Observed(url, arena.key)) as observed:
        writer = Writer(url, arena.key, timeout=30)
        for number in range(1, 40):
            asked = replace(_EVERYTHING, request_id=str(number))
            observed.will_be_asked([asked])
            writer.ask([asked], Fault(number, dies=False))
            (answer,) = writer.answers([asked])
            observed.check([answer])
            if answer.receipt is not None:
                break
            assert answer.error == NOT_TAKEN
            assert not observed.holds(asked.request_id)
        else:
            pytest.fail("a commit has fewer statements")
        assert number > 10, "the tables that a commit writes"
        writer.close()
        verdict = verify_database(url, arena.key.vkey)
        assert verdict.ok, verdict.findings
        assert verdict.size == len(FIRST) + 1
