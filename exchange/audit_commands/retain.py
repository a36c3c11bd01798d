"""``accord audit retain``."""

from typing import Annotated

import typer
from rich.table import Table

from exchange.audit_commands.app import audit_app
from exchange.console import err, explained, out, settings_of_environment


@audit_app.command("retain")
def audit_retain(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be erased; change nothing.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Erase it.")] = False,
) -> None:
    """Erase the details of accesses that were kept as long as their datasets' manifests say, and grants long ended.

    The entries and every proof of them stay; whom they were about can no longer be found out. Each batch is an entry
    of the log ('retention.applied'). Run it every day, while everything serves; with --apply on PostgreSQL as the
    owner of the tables, since the role that serves may not erase. A run that was cut short is run again.
    """
    from exchange.retention import RetentionRefused, run_retention

    if dry_run == apply:
        err.print("say either --dry-run or --apply", style="red")
        raise typer.Exit(2)
    with explained(RetentionRefused):
        report = run_retention(settings_of_environment(), erase=apply)
    table = Table("dataset", "kept for", "made before", "erased" if apply else "to erase", box=None, pad_edge=False)
    for rule, count in sorted(report.entries.items()):
        table.add_row(rule.dataset or "(none)", rule.duration, rule.cut_off, str(count))
    out.print(table)
    out.print(f"{report.grants} grants that ended as long ago {'were blanked' if apply else 'to blank'}.")
    if report.lingers:
        out.print("Readers kept the SQLite file's write-ahead log from being cut: its old pages go with the next run.")
