"""What appending costs: callers that wait for their receipts, over one or several writers in processes of their own."""

import asyncio
import gc
import itertools
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import uvloop

from audit.checkpoint import NoteSigner
from audit.log import SWITCH_SECONDS, Log
from audit.model import Append
from audit.store import open_store
from bench.audit_entries import append_like_an_exchange
from bench.cpu import cpu_seconds
from exchange.app import GARBAGE_THRESHOLDS

MEASURED_SECONDS = 6.0
WARM_SECONDS = 1.5
MADE = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """A filled log: where it lies, whose key signs it, its size when it was filled, its server's process if any."""

    engine: str
    url: str
    key: NoteSigner
    size: int
    server: int | None


@dataclass(frozen=True, slots=True)
class Load:
    """What one writer is given: callers that wait at once, and the time that its entries bear (Unix seconds)."""

    in_flight: int
    at: float


@dataclass(frozen=True, slots=True)
class Appends:
    """What one measurement saw, or the medians of several."""

    engine: str
    size: int
    writers: int
    per_second: float
    cpu: float
    """Microseconds an append in the writers' processes."""
    server_cpu: float
    """Microseconds an append in the database's server; 0 for SQLite."""
    p50: float
    p99: float
    """Milliseconds from the call to the receipt."""

    def to_json(self) -> dict[str, object]:
        """As an object of JSON."""
        return {name: getattr(self, name) for name in Appends.__dataclass_fields__}


def medians(rounds: list[Appends]) -> Appends:
    """Of measurements of one place by as many writers, figure by figure."""
    figures = ("per_second", "cpu", "server_cpu", "p50", "p99")
    return replace(rounds[0], **{name: median(getattr(one, name) for one in rounds) for name in figures})


def measure_appends(place: Place, *, writers: int, load: Load) -> Appends:
    """Let ``writers`` processes append for a while."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    ready: Any = context.Barrier(writers)
    arguments = (place.url, place.key.private_text(), load, queue, ready)
    processes = [context.Process(target=_write, args=arguments) for _ in range(writers)]
    server_before = 0.0 if place.server is None else cpu_seconds(place.server)
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    server = (0.0 if place.server is None else cpu_seconds(place.server)) - server_before
    appended = sum(one["measured"] for one in results)
    everything = sum(one["all"] for one in results)
    latencies = sorted(each for one in results for each in one["latencies"])
    return Appends(
        place.engine,
        place.size,
        writers,
        appended / MEASURED_SECONDS,
        sum(one["cpu"] for one in results) / appended * 1e6,
        server / everything * 1e6,
        latencies[len(latencies) // 2] * 1000,
        latencies[len(latencies) * 99 // 100] * 1000,
    )


def _write(url: str, private: str, load: Load, queue: Any, ready: Any) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    key = NoteSigner.parse(private)
    log = Log.open(open_store(url), key, origin=key.name, max_queue=100_000, timeout=30)
    # Made before: their cost is the callers', not the log's.
    made = [append_like_an_exchange(load.at) for _ in range(MADE)]
    # As a serving process does; what was made before the measurement is not walked during it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    ready.wait(60)
    queue.put(uvloop.run(_load(log, made, load.in_flight)))
    log.close()


async def _load(log: Log, made: list[Append], in_flight: int) -> dict[str, Any]:
    """Callers that append one after the other, each as soon as it was answered."""
    begin = time.monotonic() + WARM_SECONDS
    end = begin + MEASURED_SECONDS
    latencies: list[float] = []
    counted = {"all": 0, "cpu": 0.0}

    numbers = itertools.count()
    prefix = f"{os.getpid():x}{time.time_ns():x}"

    async def caller() -> None:
        while (began := time.monotonic()) < end:
            number = next(numbers)
            append = made[number % MADE]
            if append.spends:
                append = replace(append, spends=(f"dpop:{int(began)}:{prefix}{number:040x}",))
            await log.append(append)
            counted["all"] += 1
            if began >= begin and (now := time.monotonic()) <= end:
                latencies.append(now - began)

    async def clock() -> None:
        await asyncio.sleep(WARM_SECONDS)
        used = time.process_time()
        await asyncio.sleep(MEASURED_SECONDS)
        counted["cpu"] = time.process_time() - used

    await asyncio.gather(clock(), *(caller() for _ in range(in_flight)))
    return {"measured": len(latencies), "latencies": latencies[:: max(1, len(latencies) // 20_000)], **counted}
