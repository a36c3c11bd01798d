"""``python -m bench``: CPU microseconds per exchange of Accord and its peers, in one run. See ``bench/README.md``."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.conditions import conditions
from bench.gateways import GATEWAYS
from bench.holder import holder
from bench.processes import CannotRun, Cores
from bench.rounds import Outcome, Plan, run_rounds
from bench.table import as_json, print_report
from bench.world import make_world

LEAST_COLUMNS = 126
"""The table needs them, in a narrow terminal, a file or a pipe too."""

out = Console(highlight=False, soft_wrap=True, width=max(LEAST_COLUMNS, shutil.get_terminal_size().columns))
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main(
    *,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(GATEWAYS)}; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 3,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Of load, per gateway and round.")] = 5,
    connections: Annotated[int, typer.Option(min=1, max=1000)] = 32,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything there.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(file_okay=False, exists=True, help="Where databases are written; give a folder on a real disk."),
    ] = None,
) -> None:
    """Measure the CPU that an exchange costs Accord and its peers, one after the other, and print a table.

    Exit codes: 0 done, or left out for a reason printed; 1 a gateway answered wrongly; 2 cannot run here.
    """
    plan, cores = Plan(rounds, seconds, connections), _cores()
    names = only or list(GATEWAYS)
    if unknown := sorted(set(names) - set(GATEWAYS)):
        raise _cannot(f"--only: no gateway {', '.join(unknown)}; there are {', '.join(GATEWAYS)}")
    with tempfile.TemporaryDirectory(prefix="accord-bench-", dir=folder) as made:
        outcomes = _measured(names, Path(made), plan, cores)
        noted = conditions(plan, cores, Path(made))
    print_report(outcomes, noted, console=out)
    if json_file is not None:
        json_file.write_text(
            json.dumps(as_json(outcomes, noted), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if any(outcome.is_wrong for outcome in outcomes.values()):
        raise typer.Exit(1)


def _measured(names: list[str], made: Path, plan: Plan, cores: Cores) -> dict[str, Outcome]:
    made.chmod(0o711)
    gateways = {name: gateway for name, gateway in GATEWAYS.items() if name in names}
    try:
        with holder(made, cores) as holder_url:
            world = make_world(made, cores=cores, holder_url=holder_url)
            return run_rounds(gateways, world, plan, tell=lambda line: err.print(line, style="dim", markup=False))
    except CannotRun as cannot:
        raise _cannot(str(cannot)) from None


def _cores() -> Cores:
    if sys.platform != "linux":
        raise _cannot("the bench reads /proc and pins processes to cores: it needs Linux")
    return Cores.of_this_machine()


def _cannot(reason: str) -> typer.Exit:
    err.print(reason, style="red", markup=False)
    return typer.Exit(2)


if __name__ == "__main__":
    typer.run(main)
