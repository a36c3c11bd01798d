"""What the commands share: where they print, the settings they need, how they end.

Exit codes: 0 done; 1 the thing checked is wrong; 2 the command or the settings are wrong.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from exchange.settings import Settings, SettingsError, load_settings

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Commands(TyperGroup):
    """What a database does not do is a sentence and exit code 2 in every command that did not say more itself."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if (cause := _cause_in_database(error)) is None:
                raise
            err.print(
                f"the database could not be used: {cause}\n"
                "Check ACCORD_DATABASE_URL, that the database runs, and that 'accord db migrate' was run.",
                style="red",
                markup=False,
            )
            raise typer.Exit(2) from None


def settings_of_environment() -> Settings:
    """The settings, or exit code 2 with each wrong one named."""
    with explained(SettingsError):
        return load_settings()


def log_key(settings: Settings) -> str:
    """The log's verifier key (C2SP vkey) from the deployment's keys."""
    from exchange.keyring import KeyringError, load_keyring

    with explained(KeyringError):
        return load_keyring(settings.keys_dir).log.vkey


@contextmanager
def explained(*expected: type[Exception]) -> Iterator[None]:
    """An expected error is its own message and exit code 2, without a traceback."""
    try:
        yield
    except expected as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None


def _cause_in_database(error: Exception) -> str | None:
    # Whoever asked a database has imported it: it is half of what a command takes to start.
    alchemy = sys.modules.get("sqlalchemy.exc")
    if alchemy is None or not isinstance(error, (alchemy.OperationalError, alchemy.ProgrammingError)):
        return None
    # Until a statement was sent a message is about the server; then it may quote values.
    return str(error.orig).splitlines()[0] if error.statement is None else type(error.orig).__name__
