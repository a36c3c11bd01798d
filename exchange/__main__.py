"""``python -m exchange`` is ``accord``."""

from exchange.cli import app

app(prog_name="accord")
