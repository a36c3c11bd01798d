"""``make bench-audit``: durable appends a second and CPU per append, at growing sizes; queries, proofs, verification.

The log's own writer, over its own store, in processes of their own: appends as an exchange makes them (a DPoP proof
spent, a grant required), each caller waiting for its receipt. The log grows between measurements by the same commit,
only in larger batches.
"""

import asyncio
import gc
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from audit.checkpoint import NoteSigner
from audit.log import SWITCH_SECONDS, Log
from audit.model import Append
from audit.store import open_store
from bench.audit_entries import append_like_an_exchange
from bench.audit_fill import fill, moment
from bench.audit_reading import Reading, measure_reading
from bench.cpu import cpu_seconds
from bench.postgresql import SETTINGS, postgresql, wear_in
from exchange.app import GARBAGE_THRESHOLDS
from exchange.database import migrate

ORIGIN = "bench.example/log"
MEASURED_SECONDS = 6.0
WARM_SECONDS = 1.5
MADE = 20_000

out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Appends:
    """What one measurement saw."""

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


def main(
    *,
    sizes: Annotated[str, typer.Option(help="Entries in the log before each measurement.")] = "10000,1000000",
    engines: Annotated[str, typer.Option()] = "sqlite,postgresql",
    in_flight: Annotated[int, typer.Option(min=1, help="Callers waiting at once, over all writers.")] = 192,
    reading: Annotated[bool, typer.Option(help="Measure queries, proofs and verification at the largest size.")] = True,
    folder: Annotated[Path | None, typer.Option(file_okay=False, exists=True)] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything there.")] = None,
) -> None:
    """Measure the log and print two tables."""
    wanted = sorted(int(size) for size in sizes.split(","))
    found: list[Appends] = []
    read: dict[str, list[Reading]] = {}
    for engine in engines.split(","):
        with (
            tempfile.TemporaryDirectory(prefix="accord-bench-audit-", dir=folder) as made,
            _database(engine, Path(made)) as db,
        ):
            key = NoteSigner.generate(ORIGIN)
            for size in wanted:
                fill(db.url, key, size, tell=out.print, full=wanted[-1])
                for writers in (1, 4):
                    load = Load(in_flight // writers, moment(size, wanted[-1], now=time.time()))
                    found.append(_appends(db, key, engine, size=size, writers=writers, load=load))
                    out.print(str(found[-1]), style="dim")
            if reading:
                read[engine] = measure_reading(db.url, key.vkey, tell=out.print)
    _print(found, read)
    if json_file is not None:
        json_file.write_text(json.dumps([_as_dict(one) for one in found], indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database; ``server``: the process of its server."""

    url: str
    server: int | None


@contextmanager
def _database(engine: str, folder: Path) -> Iterator[Database]:
    folder.chmod(0o711)
    if engine == "sqlite":
        url = f"sqlite:///{folder / 'log.sqlite'}"
        migrate(url)
        yield Database(url, None)
        return
    with postgresql(folder, core=None, settings=SETTINGS) as server:
        wear_in(server.url)
        migrate(server.url)
        yield Database(server.url, server.pid)


def _appends(
    db: Database,
    key: NoteSigner,
    engine: str,
    *,
    size: int,
    writers: int,
    load: "Load",
) -> Appends:
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    ready: Any = context.Barrier(writers)
    processes = [
        context.Process(target=_write, args=(db.url, key.private_text(), load, queue, ready)) for _ in range(writers)
    ]
    server_before = 0.0 if db.server is None else cpu_seconds(db.server)
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    server = (0.0 if db.server is None else cpu_seconds(db.server)) - server_before
    appended = sum(one["measured"] for one in results)
    everything = sum(one["all"] for one in results)
    latencies = sorted(each for one in results for each in one["latencies"])
    return Appends(
        engine,
        size,
        writers,
        appended / MEASURED_SECONDS,
        sum(one["cpu"] for one in results) / appended * 1e6,
        server / everything * 1e6,
        latencies[len(latencies) // 2] * 1000,
        latencies[len(latencies) * 99 // 100] * 1000,
    )


@dataclass(frozen=True, slots=True)
class Load:
    """What one writer is given: callers that wait at once, and the time that its entries bear (Unix seconds)."""

    in_flight: int
    at: float


def _write(url: str, private: str, load: Load, queue: Any, ready: Any) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    log = Log.open(open_store(url), NoteSigner.parse(private), origin=ORIGIN, max_queue=100_000, timeout=30)
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


def _print(found: list[Appends], read: dict[str, list[Reading]]) -> None:
    table = Table("engine", "entries", "writers", "appends/s", "CPU µs", "server µs", "p50 ms", "p99 ms")
    for one in found:
        table.add_row(
            one.engine,
            f"{one.size:,}",
            str(one.writers),
            f"{one.per_second:,.0f}",
            f"{one.cpu:.0f}",
            f"{one.server_cpu:.0f}",
            f"{one.p50:.1f}",
            f"{one.p99:.1f}",
        )
    out.print(table)
    for engine, readings in read.items():
        table = Table(engine, "median", "p95", "p95, first time", "unit")
        for one in readings:
            table.add_row(one.name, f"{one.median:,.2f}", f"{one.p95:,.2f}", f"{one.first:,.2f}", one.unit)
        out.print(table)


def _as_dict(one: Appends) -> dict[str, object]:
    return {name: getattr(one, name) for name in Appends.__dataclass_fields__}


if __name__ == "__main__":
    typer.run(main)
