"""What the commands share: where they print, the settings they need, how they end.

Exit codes: 0 done; 1 the thing checked is wrong; 2 the command or the settings are wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from exchange.settings import Settings, SettingsError, load_settings

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


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
