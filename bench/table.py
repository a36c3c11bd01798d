"""From samples to the table: medians, ratios, and whether the goals are met. Pure but for the printing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.gateways import ACCORD, ENVOY, GATEWAYS, NAIVE
from bench.rounds import Outcome, Sample

MOST_TIMES_ENVOY = 2.0
LEAST_TIMES_CHEAPER_THAN_NAIVE = 8.0


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds. CPU in microseconds per answer, latencies in milliseconds."""

    cpu_us: float
    lowest_cpu_us: float
    highest_cpu_us: float
    database_cpu_us: float | None
    answers_per_second: float
    p50_ms: float
    p99_ms: float


def summarise(samples: Sequence[Sample]) -> Row | None:
    """The row of one gateway; ``None`` without samples."""
    if not samples:
        return None
    costs = [sample.cpu_us for sample in samples]
    database = [cost for sample in samples if (cost := sample.database_cpu_us) is not None]
    return Row(
        cpu_us=median(costs),
        lowest_cpu_us=min(costs),
        highest_cpu_us=max(costs),
        database_cpu_us=median(database) if database else None,
        answers_per_second=median(sample.loaded.answers / sample.loaded.seconds for sample in samples),
        p50_ms=median(sample.loaded.p50_us for sample in samples) / 1000,
        p99_ms=median(sample.loaded.p99_us for sample in samples) / 1000,
    )


def ratio(numerator: Row | None, denominator: Row | None) -> float | None:
    """CPU of one over CPU of the other; ``None`` when either is missing."""
    return None if numerator is None or denominator is None else numerator.cpu_us / denominator.cpu_us


def goals(rows: Mapping[str, Row | None]) -> dict[str, tuple[float | None, bool | None]]:
    """Each goal in words -> the figure and whether it is met; ``None`` when it could not be measured."""
    accord = rows.get(ACCORD)
    to_envoy, to_naive = ratio(accord, rows.get(ENVOY)), ratio(rows.get(NAIVE), accord)
    return {
        f"Accord costs at most {MOST_TIMES_ENVOY:g} times Envoy": (
            to_envoy,
            None if to_envoy is None else to_envoy <= MOST_TIMES_ENVOY,
        ),
        f"Accord is at least {LEAST_TIMES_CHEAPER_THAN_NAIVE:g} times cheaper than the naive peer": (
            to_naive,
            None if to_naive is None else to_naive >= LEAST_TIMES_CHEAPER_THAN_NAIVE,
        ),
    }


def as_json(outcomes: Mapping[str, Outcome], conditions: Mapping[str, str]) -> dict[str, Any]:
    """Everything, every round included."""
    rows = {name: summarise(outcome.samples) for name, outcome in outcomes.items()}
    return {
        "conditions": dict(conditions),
        "gateways": {
            name: {
                "title": GATEWAYS[name].title,
                "medians": asdict(row) if (row := rows[name]) else None,
                "times_envoy": ratio(row, rows.get(ENVOY)),
                "naive_times": ratio(rows.get(NAIVE), row),
                "reason": outcome.reason,
                "rounds": [asdict(sample) | {"cpu_us": sample.cpu_us} for sample in outcome.samples],
            }
            for name, outcome in outcomes.items()
        },
        "goals": {goal: {"figure": figure, "met": met} for goal, (figure, met) in goals(rows).items()},
    }


def print_report(outcomes: Mapping[str, Outcome], conditions: Mapping[str, str], *, console: Console) -> None:
    """The table, what could not be measured and why, the goals, the conditions."""
    rows = {name: summarise(outcome.samples) for name, outcome in outcomes.items()}
    console.print(_table(rows))
    for name, outcome in outcomes.items():
        if outcome.reason is not None:
            console.print(f"{GATEWAYS[name].title}: {outcome.reason}", style="yellow", markup=False)
    for goal, (figure, met) in goals(rows).items():
        verdict = {None: "not measured", True: "met", False: "MISSED"}[met]
        console.print(f"{goal}: {verdict}" + (f" ({figure:.2f})" if figure is not None else ""))
    console.print()
    for name, value in conditions.items():
        console.print(f"{name:9} {value}", style="dim", markup=False)


def _table(rows: Mapping[str, Row | None]) -> Table:
    table = Table(title="CPU per exchange", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("gateway", no_wrap=True)
    for heading in ("CPU µs", "range", "÷ Envoy", "naive ÷ it", "req/s", "p50 ms", "p99 ms", "db µs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in rows.items():
        if row is not None:
            table.add_row(GATEWAYS[name].title, *_cells(row, rows))
    return table


def _cells(row: Row, rows: Mapping[str, Row | None]) -> list[str]:
    return [
        f"{row.cpu_us:,.0f}",
        f"{row.lowest_cpu_us:,.0f}-{row.highest_cpu_us:,.0f}",
        _shown(ratio(row, rows.get(ENVOY)), "{:.2f}"),
        _shown(ratio(rows.get(NAIVE), row), "{:.1f}"),
        f"{row.answers_per_second:,.0f}",
        f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}",
        _shown(row.database_cpu_us, "{:,.0f}"),
    ]


def _shown(figure: float | None, pattern: str) -> str:
    return "" if figure is None else pattern.format(figure)
