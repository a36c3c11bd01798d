"""The commit against a model of a few lines: real processes append, erase, crash, fail and wait in every order.

Up to three processes write one log, on each engine. After every step the log is read and must be what the model says:
no gap, no entry lost or doubled, no key spent twice, no access after its withdrawal, no erasure in part, no answer
without its entry. An entry without an answer is allowed for an append whose process died or whose wait ended, and for
no other.

A few examples run with the suite; ``EXAMPLES=1000 pytest tests/audit/test_commit_machine.py`` looks further.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from audit.checkpoint import NoteSigner
from audit.store import StoreError, open_store
from audit.store.port import INSERTS, Changes, Row
from audit.verify_database import verify_database
from tests.audit.commit_model import FIRST, Arena, Observed, arena_of
from tests.audit.commit_process import NOT_TAKEN, Answer, Asked, Fault, Writer

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(3_600)]

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
STEPS = 15
WRITERS = 3
TIMEOUT = 0.5


@pytest.fixture
def arena(database_url: str, key: NoteSigner) -> Arena:
    return arena_of(database_url, key)


_asked = st.builds(
    partial(Asked, ""),
    grant=st.sampled_from("abcdef"),
    withdraws=st.sampled_from([False] * 7 + [True]),
    proof=st.none() | st.integers(0, 40).map(str),
    once=st.sampled_from([False, False, True]),
    per_day=st.sampled_from([0, 2, 3]),
)
_several = st.lists(_asked, min_size=1, max_size=10)
_contending = st.lists(
    st.builds(
        partial(Asked, ""),
        grant=st.just("x"),
        withdraws=st.sampled_from([False, False, False, True]),
        proof=st.none() | st.sampled_from("pq"),
        once=st.sampled_from([False, False, True]),
        per_day=st.sampled_from([0, 2, 3]),
    ),
    min_size=2 * WRITERS,
    max_size=12,
)
_faults = st.builds(Fault, st.integers(0, 16), dies=st.just(value=True), after=st.booleans())
_failures = st.builds(Fault, st.integers(1, 10), dies=st.just(value=False))


class CommitMachine(RuleBasedStateMachine):
    """The steps. Each waits until all that it asked was answered, so that the model knows what may be missing.

    Any step may follow any other: how many writers are left is the processes' doing, which no example repeats exactly.
    """

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

    @rule()
    def start(self) -> None:
        if len(self._writers) < WRITERS:
            self._start()

    def _start(self) -> None:
        self._writers.append(Writer(self._url, self._key, timeout=TIMEOUT))

    @rule(which=st.integers(0, WRITERS - 1))
    def stop(self, which: int) -> None:
        if self._writers:
            self._writers.pop(which % len(self._writers)).close()

    @rule(which=st.integers(0, WRITERS - 1), asked=_several)
    def append(self, which: int, asked: list[Asked]) -> None:
        self._ask([(which, asked, None)])

    @rule(asked=_contending, faults=st.lists(st.none() | _faults | _failures, min_size=WRITERS, max_size=WRITERS))
    def contend(self, asked: list[Asked], faults: list[Fault | None]) -> None:
        self._ask(self._shared_out(asked, faults))

    @rule(which=st.integers(0, WRITERS - 1), asked=_several, fault=_faults)
    def crash_at_a_statement(self, which: int, asked: list[Asked], fault: Fault) -> None:
        self._ask([(which, asked, fault)])

    @rule(asked=_contending, after=st.floats(0, 0.03))
    def crash_at_a_moment(self, asked: list[Asked], after: float) -> None:
        def kill() -> None:
            time.sleep(after)
            self._writers[0].kill()

        self._ask(self._shared_out(asked, [None] * WRITERS), kill)

    @rule(which=st.integers(0, WRITERS - 1), asked=_several, fault=_failures)
    def fail_at_a_statement(self, which: int, asked: list[Asked], fault: Fault) -> None:
        self._ask([(which, asked, fault)])

    @rule(
        asked=_contending,
        seconds=st.sampled_from([0.02, 0.1, TIMEOUT + 0.2]),
        faults=st.lists(st.none() | _faults, min_size=WRITERS, max_size=WRITERS),
    )
    def contend_for_the_lock(self, asked: list[Asked], seconds: float, faults: list[Fault | None]) -> None:
        with closing(open_store(self._url).connect()) as session, ExitStack() as held:
            held.enter_context(session.locked([], []))

            def let_go() -> None:
                time.sleep(seconds)
                held.close()

            self._ask(self._shared_out(asked, faults), let_go)

    @rule(
        asked=_contending,
        count=st.integers(1, 5),
        faults=st.lists(st.none() | _faults | _failures, min_size=WRITERS, max_size=WRITERS),
    )
    def erase_while_others_contend(self, asked: list[Asked], count: int, faults: list[Fault | None]) -> None:
        (which, others, fault), *rest = self._shared_out(asked, faults)
        self._ask([(which, [self._observed.erasing(count), *others], fault), *rest])

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

    def _shared_out(
        self, asked: list[Asked], faults: list[Fault | None]
    ) -> list[tuple[int, list[Asked], Fault | None]]:
        """All writers want the same: one new grant and its proofs."""
        while len(self._writers) < 2:
            self._start()
        mine = f"contended-{self._number}"
        wanted = [replace(one, grant=mine, proof=one.proof and mine + one.proof) for one in asked]
        count = len(self._writers)
        return [(which, wanted[which::count], faults[which]) for which in range(count)]

    def _ask(
        self, orders: list[tuple[int, list[Asked], Fault | None]], meanwhile: Callable[[], None] | None = None
    ) -> None:
        if not self._writers:
            self._start()
        started = []
        for which, asked, fault in orders:
            named = [self._named(one) for one in asked]
            self._observed.will_be_asked(named)
            writer = self._writers[which % len(self._writers)]
            writer.ask(named, fault)
            started.append((writer, named, fault is not None and not fault.dies))
        if meanwhile is not None:
            meanwhile()
        for writer, named, fails in started:
            answers = list(writer.answers(named))
            assert fails or all(answer.error != NOT_TAKEN for answer in answers), "a batch failed by itself"
            self._told += answers
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
FEWEST = 6
"""Statements of a commit: its beginning, the lock, what is read, two of rows, its end; one a table on SQLite."""


ERASING = 4
"""More that an erasure makes: the rows that name what goes, then details, lookups and keys, one after the other."""
_each_kind = pytest.mark.parametrize("erases", [False, True], ids=["an-access", "an-erasure"])


@_each_kind
def test_a_writer_that_dies_at_any_statement_of_its_commit_leaves_all_of_it_or_nothing(
    arena: Arena, *, erases: bool
) -> None:
    """On PostgreSQL too it dies with so many of its statements sent and no more: see the test below."""
    with arena.fresh() as url, closing(Observed(url, arena.key)) as observed:
        points = [Fault(number, after=after) for number in range(1, 40) for after in (False, True)]
        for number, point in enumerate(points):
            asked = observed.erasing(4) if erases else _EVERYTHING
            died = _one(url, arena.key, observed, replace(asked, request_id=str(number)), point)
            if not died:
                break
        else:
            pytest.fail("a commit has fewer statements")
        assert number > 2 * (FEWEST + ERASING * erases)
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


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_each_statement_is_with_the_server_before_the_next_is_made(arena: Arena) -> None:
    """What is written in one round trip is not held back until its end: a death on the way leaves it partly sent."""
    rows: dict[str, Row] = {"entries": (255, b"{}"), "details": (255, b"", b"{}"), "spent": ("once:x", 255)}

    def changes() -> Iterator[Changes]:
        for name, row in rows.items():
            yield [(INSERTS[name], [row])]
            assert _reaches(looking, INSERTS[name].partition(" VALUES")[0])
        raise StoreError("told to")

    with (
        arena.fresh() as url,
        psycopg.connect(url, autocommit=True) as looking,
        closing(open_store(url).connect()) as session,
        pytest.raises(StoreError, match="told to"),
        session.locked([], []),
    ):
        session.commit(changes())


def _reaches(looking: "psycopg.Connection[Any]", begins: str) -> bool:
    """Whether what the other connection gave the server last begins so, soon."""
    statement = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for _ in range(500):
        if any(query.startswith(begins) for (query,) in looking.execute(statement)):
            return True
        time.sleep(0.01)
    return False


@_each_kind
def test_a_batch_that_fails_at_any_statement_leaves_nothing_and_the_next_goes_on(arena: Arena, *, erases: bool) -> None:
    with arena.fresh() as url, closing(Observed(url, arena.key)) as observed:
        writer = Writer(url, arena.key, timeout=30)
        for number in range(1, 40):
            asked = replace(observed.erasing(4) if erases else _EVERYTHING, request_id=str(number))
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
        assert number > FEWEST + ERASING * erases
        writer.close()
        verdict = verify_database(url, arena.key.vkey)
        assert verdict.ok, verdict.findings
        assert verdict.size == len(FIRST) + 1


def test_what_a_failed_batch_made_of_the_tiles_is_forgotten(arena: Arena) -> None:
    with arena.fresh() as url, closing(Observed(url, arena.key)) as observed:
        fails, goes_on = (Writer(url, arena.key, timeout=30) for _ in range(2))
        for writer, names, fault in (
            (fails, ["a", "b"], Fault(0, dies=False)),
            (goes_on, ["c", "d"], None),
            (fails, [str(number) for number in range(256)], None),
        ):
            asked = [Asked(name, "another") for name in names]
            observed.will_be_asked(asked)
            writer.ask(asked, fault)
            answers = list(writer.answers(asked))
            observed.check(answers)
            assert all((answer.receipt is None) == (fault is not None) for answer in answers)
        fails.close()
        goes_on.close()
        verdict = verify_database(url, arena.key.vkey)
        assert verdict.ok, verdict.findings
        assert verdict.size == len(FIRST) + 2 + 256
