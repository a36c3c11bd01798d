"""``accord providers check``."""

from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.console import err, out
from exchange.provider_commands.app import Holder, contract_of, providers_app

if TYPE_CHECKING:
    from providers.openapi_reader import HolderContract


@providers_app.command("check")
def providers_check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Manifests, or folders of them, beside Accord's own; default: Accord's own alone."),
    ] = None,
    *,
    openapi: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Hold the manifests of --holder against this OpenAPI file of the holder's.",
        ),
    ] = None,
    holder: Holder = "api_particulier",
) -> None:
    """Say everything that is wrong with manifests, in one run, each error with its file and key.

    Schema, words in both languages, limits; and with --openapi each path, parameter and field: its type, whether it
    may be null, whether it is a list. Exit code 1 when anything is wrong. No setting is needed.
    """
    contract = contract_of(openapi) if openapi is not None else None
    texts = [(one.name, _text(one)) for one in _manifests_of(files or [])]
    faults = faults_of(texts, contract, holder=holder)
    for fault in faults:
        err.print(fault, style="red", markup=False)
    if faults:
        raise typer.Exit(1)
    told = f", those of {holder} against {openapi.name}" if openapi is not None else ""
    out.print(f"{len(texts)} manifests are right{told}.", markup=False)


def faults_of(texts: Sequence[tuple[str, str]], contract: "HolderContract | None", *, holder: str) -> list[str]:
    """Every fault of the manifests in ``texts`` (name of the file, content), and between them."""
    from providers.manifest import between, examine
    from providers.openapi_check import differences
    from providers.registry import adapter_faults

    faults: list[str] = []
    read = []
    for name, content in texts:
        manifest, found = examine(content, name=name)
        faults += found
        if manifest is None:
            continue
        read.append((name, manifest))
        told = _places(found)
        others = adapter_faults(manifest, name=name) if manifest.adapter else []
        if contract is not None and manifest.holder == holder and manifest.path:
            others += differences(manifest, contract, name=name)
        faults += [line for line in others if not line.startswith(told)]
    return faults + between(read)


def _places(faults: Sequence[str]) -> tuple[str, ...]:
    """``file: key`` of each: what is wrong at the same place for want of it is not said again."""
    return tuple(": ".join(fault.split(": ", 2)[:2]) for fault in faults)


def _manifests_of(given: Sequence[Path]) -> list[Traversable]:
    found: list[Traversable] = []
    for place in (resources.files("providers").joinpath("manifests"), *given):
        inside = place.iterdir() if place.is_dir() else [place]
        found += sorted((one for one in inside if place == one or one.name.endswith(".toml")), key=lambda one: one.name)
    return found


def _text(file: Traversable) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        err.print(f"{file}: no text file that can be read", style="red", markup=False)
        raise typer.Exit(2) from None
