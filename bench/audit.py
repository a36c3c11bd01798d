"""``make bench-audit``: durable appends a second and CPU per append, at several sizes; queries, proofs, verification.

The log's own writer, over its own store, in processes of their own: appends as an exchange makes them (a DPoP proof
spent, a grant required), each caller waiting for its receipt. Every size has a log of its own, filled by the same
commit in larger batches. They are measured in turn, round by round, and the medians compared: a machine's speed
wanders from minute to minute by more than a log's size is worth.
"""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from audit.checkpoint import NoteSigner
from bench.audit_appends import Appends, Load, Place, measure_appends, medians
from bench.audit_fill import fill
from bench.audit_reading import Reading, measure_reading
from bench.postgresql import SETTINGS, postgresql, wear_in
from exchange.database import migrate

ORIGIN = "bench.example/log"
WRITERS = (1, 4)

out = Console(highlight=False, soft_wrap=True)


def main(
    *,
    sizes: Annotated[str, typer.Option(help="Entries in each log before it is measured.")] = "10000,1000000",
    engines: Annotated[str, typer.Option()] = "sqlite,postgresql",
    rounds: Annotated[int, typer.Option(min=1, help="Times each log is measured.")] = 3,
    in_flight: Annotated[int, typer.Option(min=1, help="Callers waiting at once, over all writers.")] = 192,
    reading: Annotated[bool, typer.Option(help="Measure queries, proofs and verification at the largest size.")] = True,
    folder: Annotated[Path | None, typer.Option(file_okay=False, exists=True)] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything there.")] = None,
) -> None:
    """Measure the log and print its tables."""
    wanted = sorted(int(size) for size in sizes.split(","))
    found: list[Appends] = []
    read: dict[str, list[Reading]] = {}
    for engine in engines.split(","):
        with (
            tempfile.TemporaryDirectory(prefix="accord-bench-audit-", dir=folder) as made,
            logs(engine, Path(made)) as log_of,
        ):
            places = [log_of(size) for size in wanted]
            for place in places:
                fill(place.url, place.key, place.size, tell=out.print)
            found += measure_in_turn(places, rounds=rounds, in_flight=in_flight, tell=_tell)
            if reading:
                read[engine] = measure_reading(places[-1].url, places[-1].key.vkey, tell=out.print)
    _print(found, read)
    if json_file is not None:
        json_file.write_text(json.dumps([one.to_json() for one in found], indent=2) + "\n", encoding="utf-8")


@contextmanager
def logs(engine: str, folder: Path) -> Iterator[Callable[[int], Place]]:
    """A way to make logs of ``engine``, empty yet, each in a database of its own and with a key of its own."""
    folder.chmod(0o711)
    if engine == "sqlite":
        yield lambda size: _migrated(engine, f"sqlite:///{folder / f'log{size}.sqlite'}", size, None)
        return
    with postgresql(folder, core=None, settings=SETTINGS) as server:
        wear_in(server.url)

        def made(size: int) -> Place:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE log{size:d}")
            return _migrated(engine, f"{server.url.rpartition('/')[0]}/log{size}", size, server.pid)

        yield made


def _migrated(engine: str, url: str, size: int, server: int | None) -> Place:
    migrate(url)
    return Place(engine, url, NoteSigner.generate(ORIGIN), size, server)


def measure_in_turn(
    places: list[Place], *, rounds: int, in_flight: int, tell: Callable[[Appends], None]
) -> list[Appends]:
    """The medians of ``rounds`` measurements of each place by each number of writers."""
    seen: defaultdict[tuple[int, int], list[Appends]] = defaultdict(list)
    for _ in range(rounds):
        for writers in WRITERS:
            for place in places:
                load = Load(in_flight // writers, time.time())
                one = measure_appends(place, writers=writers, load=load)
                seen[place.size, writers].append(one)
                tell(one)
    return [medians(several) for _, several in sorted(seen.items())]


def _tell(one: Appends) -> None:
    out.print(str(one), style="dim")


def _print(found: list[Appends], read: dict[str, list[Reading]]) -> None:
    smallest = {(one.engine, one.writers): one for one in reversed(found)}
    table = Table("engine", "entries", "writers", "appends/s", "CPU µs", "growth", "server µs", "p50 ms", "p99 ms")
    for one in found:
        table.add_row(
            one.engine,
            f"{one.size:,}",
            str(one.writers),
            f"{one.per_second:,.0f}",
            f"{one.cpu:.0f}",
            f"{one.cpu / smallest[one.engine, one.writers].cpu:.2f}x",
            f"{one.server_cpu:.0f}",
            f"{one.p50:.1f}",
            f"{one.p99:.1f}",
        )
    out.print(table)
    for engine, readings in read.items():
        table = Table(engine, "median", "p95", "p95, first time", "unit")
        for reading in readings:
            table.add_row(
                reading.name, f"{reading.median:,.2f}", f"{reading.p95:,.2f}", f"{reading.first:,.2f}", reading.unit
            )
        out.print(table)


if __name__ == "__main__":
    typer.run(main)
