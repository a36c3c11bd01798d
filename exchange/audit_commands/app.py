"""The group ``accord audit``."""

import typer

audit_app = typer.Typer(no_args_is_help=True, help="The append-only log.")
