"""The commands ``accord providers ...``, one file each."""

from exchange.provider_commands import check, new
from exchange.provider_commands.app import providers_app

__all__ = ["check", "new", "providers_app"]
