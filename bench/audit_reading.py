"""What reading costs at the size reached: one query for each filter, a proof, the whole verification."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from audit.query import Queries, Wanted
from audit.store import open_store
from audit.verify_database import verify_database
from bench.audit_entries import CLIENTS, DATASETS, PURPOSES, RECIPIENTS

TIMES = 60

_random = random.Random(7)  # noqa: S311  # load, not secrets


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing read again and again; ``first``: the p95 of the first time, when the disk has to be asked."""

    name: str
    median: float
    p95: float
    unit: str
    first: float


def measure_reading(url: str, vkey: str, *, tell: Callable[[str], None]) -> list[Reading]:
    """Every filter, proofs, then the verification. Milliseconds; seconds for the last."""
    store = open_store(url)
    queries = Queries(store)
    with store.reading() as session:
        size = session.head().size
    samples = [queries.entry(_random.randrange(size)) for _ in range(TIMES)]
    details = [json.loads(one.detail or b"{}") for one in samples if one]
    entries = [json.loads(one.leaf) for one in samples if one]
    found = []
    for name, wanted in {
        "organisation": [Wanted({"recipient": _random.choice(RECIPIENTS)}) for _ in range(TIMES)],
        "application": [Wanted({"client": _random.choice(CLIENTS)}) for _ in range(TIMES)],
        "dataset": [Wanted({"dataset": _random.choice(DATASETS)}) for _ in range(TIMES)],
        "field": [Wanted({"field": f"{_random.choice(DATASETS)}.valeur"}) for _ in range(TIMES)],
        "purpose": [Wanted({"purpose": _random.choice(PURPOSES)}) for _ in range(TIMES)],
        "legal basis": [Wanted({"legal_basis": "consent"}) for _ in range(TIMES)],
        "outcome": [Wanted({"outcome": "grant_withdrawn"}) for _ in range(TIMES)],
        "no such delegate": [Wanted({"delegate": "nobody"}) for _ in range(TIMES)],
        "a day": [_day() for _ in range(TIMES)],
        "a day, organisation and outcome": [
            _day({"recipient": _random.choice(RECIPIENTS), "outcome": "holder_unavailable"}) for _ in range(TIMES)
        ],
        "citizen": [Wanted(rare={"citizen": one["citizen"]}) for one in details],
        "grant": [Wanted(rare={"grant_id": one["grant_id"]}) for one in details],
        "request id": [Wanted(rare={"request_id": one["request_id"]}) for one in entries],
    }.items():
        found.append(_timed(name, [partial(queries.find, one, limit=50) for one in wanted]))
        tell(f"{name}: p95 {found[-1].p95:.1f} ms, the first time {found[-1].first:.1f}")
    found.append(_timed("proof", [partial(queries.proof, _random.randrange(size)) for _ in range(TIMES)]))
    store.close()
    began = time.monotonic()
    verdict = verify_database(url, vkey)
    took = time.monotonic() - began
    if not verdict.ok:
        raise SystemExit(f"the log does not verify: {verdict.findings[:3]}")
    found.append(Reading(f"verification of {verdict.size:,} entries", took, took, "s", took))
    return found


def _day(terms: dict[str, str] | None = None) -> Wanted:
    since = int(time.time()) - 86_400 * _random.randrange(2, 360)
    return Wanted(terms or {}, since=since, until=since + 86_400)


def _timed(name: str, acts: list[Callable[[], object]]) -> Reading:
    first, again = (sorted(_milliseconds(act) for act in acts) for _ in range(2))
    return Reading(name, again[len(again) // 2], again[len(again) * 95 // 100], "ms", first[len(first) * 95 // 100])


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
