"""``accord providers new``."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.console import err, out
from exchange.provider_commands.app import Holder, OpenapiFile, contract_of, providers_app


@providers_app.command("new")
def providers_new(
    *,
    openapi: OpenapiFile,
    path: Annotated[str, typer.Option(help="The path in it, such as /v3/dss/quotient_familial/identite.")],
    dataset: Annotated[str, typer.Option(help="How the dataset will be called here.")],
    holder: Holder = "api_particulier",
    adapter: Annotated[
        str | None, typer.Option(help="Who speaks to the holder; default: the adapter of the holder's name.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The file to write; default: print it.", show_default=False)
    ] = None,
) -> None:
    """Draft a dataset's manifest from a path of the holder's OpenAPI file.

    Fields, their types, and the parameters are the file's; titles become French labels. What only a person can say
    (whose data it is, English words that no glossary has) is marked TODO: 'accord providers check' refuses it until it
    is written, and nothing so marked is served. Put the file in ACCORD_MANIFESTS_DIR.
    """
    from providers.draft import Origin, draft
    from providers.openapi_reader import OpenapiError
    from providers.vocabulary import UNKNOWN, VOCABULARIES

    spoken = adapter or holder
    try:
        found = contract_of(openapi).path(path, items=dataset)
    except OpenapiError as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None
    text = draft(Origin(dataset, holder, spoken, VOCABULARIES.get(spoken, UNKNOWN)), found)
    if output is None:
        out.print(text, markup=False, end="")
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        err.print(f"{output}: {error.strerror}", style="red", markup=False)
        raise typer.Exit(2) from None
    todo = text.count("TODO")
    out.print(f"{output}: {len(found.fields)} fields; {todo} words to write, marked TODO.", markup=False)
