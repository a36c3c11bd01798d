"""The group ``accord providers``, and what its commands read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.console import err

if TYPE_CHECKING:
    from providers.openapi_reader import HolderContract

providers_app = typer.Typer(no_args_is_help=True, help="The catalogue of datasets: its manifests.")

OpenapiFile = Annotated[
    Path, typer.Option("--openapi", dir_okay=False, exists=True, help="The holder's OpenAPI file (YAML or JSON).")
]
Holder = Annotated[str, typer.Option("--holder", help="The holder whose file it is, as ACCORD_HOLDERS__<NAME> has it.")]


def contract_of(file: Path) -> "HolderContract":
    """The holder's contract, or exit code 2 with the reason."""
    from providers.openapi_reader import OpenapiError, read_openapi

    try:
        return read_openapi(file.read_bytes(), name=file.name)
    except (OSError, OpenapiError) as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None
