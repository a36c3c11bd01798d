import io

import pytest
from rich.console import Console

from bench.gateways import ACCORD, ENVOY, GATEWAYS, NAIVE
from bench.load import Loaded
from bench.rounds import Outcome, Sample
from bench.table import as_json, goals, print_report, ratio, summarise


def sample(cpu_us: float, *, database_us: float | None = None) -> Sample:
    loaded = Loaded(answers=1_000, wrong=0, seconds=0.5, p50_us=4_000, p99_us=9_000)
    return Sample(loaded, cpu_us / 1_000, None if database_us is None else database_us / 1_000, entries=1_003)


def outcomes(**cpu_us: float) -> dict[str, Outcome]:
    return {name.replace("_", "-"): Outcome((sample(cost),)) for name, cost in cpu_us.items()}


def test_the_figure_is_the_median_of_the_rounds_and_the_range_is_shown():
    row = summarise([sample(300), sample(100), sample(200)])
    assert row is not None
    assert (row.cpu_us, row.lowest_cpu_us, row.highest_cpu_us) == pytest.approx((200, 100, 300))
    assert (row.answers_per_second, row.p50_ms, row.p99_ms) == pytest.approx((2_000, 4, 9))


def test_the_database_is_counted_apart():
    row = summarise([sample(200, database_us=50)])
    assert row is not None
    assert (row.cpu_us, row.database_cpu_us) == pytest.approx((200, 50))


def test_a_gateway_without_samples_has_neither_row_nor_ratio():
    assert summarise([]) is None
    assert ratio(None, summarise([sample(1)])) is None


@pytest.mark.parametrize(
    ("accord", "verdicts"),
    [(200, [True, True]), (400, [True, True]), (401, [False, True]), (900, [False, False])],
)
def test_the_goals_are_twice_envoy_and_an_eighth_of_the_naive_peer(accord, verdicts):
    measured = outcomes(envoy=200.0, naive=7_000.0, accord_sqlite=float(accord))
    rows = {name: summarise(outcome.samples) for name, outcome in measured.items()}
    assert [met for _, met in goals(rows).values()] == verdicts


def test_a_goal_that_lacks_a_peer_is_not_measured():
    rows = {ACCORD: summarise([sample(200)]), NAIVE: summarise([sample(4_000)])}
    assert list(goals(rows).values()) == [(None, None), (pytest.approx(20), True)]


def test_the_report_names_every_gateway_and_why_one_is_missing():
    console = Console(width=120, file=io.StringIO(), record=True)
    measured = {**outcomes(envoy=200.0), "nginx": Outcome(reason="nginx is not installed")}
    print_report(measured, {"cpu": "one [fast] core"}, console=console)
    text = console.export_text()
    assert GATEWAYS[ENVOY].title in text
    assert "nginx, plain proxy: nginx is not installed" in text
    assert "one [fast] core" in text


def test_the_json_holds_each_round_and_the_reason_of_each_absence():
    report = as_json({**outcomes(envoy=200.0), "nginx": Outcome(reason="absent")}, {"cpu": "x"})
    assert report["gateways"]["envoy"]["times_envoy"] == 1
    assert report["gateways"]["envoy"]["rounds"][0]["loaded"]["answers"] == 1_000
    assert report["gateways"]["nginx"]["medians"] is None
    assert report["gateways"]["nginx"]["reason"] == "absent"
