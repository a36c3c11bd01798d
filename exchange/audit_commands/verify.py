"""``accord audit verify`` and ``verify-proof``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.audit_commands.app import audit_app
from exchange.console import err, explained, log_key, out, settings_of_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from audit.verifier import ProvenEntry, Verdict


@audit_app.command("verify")
def audit_verify(
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A database's URL or SQLite file, a folder, or http(s)://host/log; default: ACCORD_DATABASE_URL.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The log's verifier key (C2SP vkey); default: from ACCORD_KEYS_DIR.")
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            help="A file with an earlier checkpoint: what it covers is not read again.", exists=True, dir_okay=False
        ),
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="The verifier key of a witness who must have cosigned. Repeatable.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with an auditor's bearer token, for the web.", exists=True, dir_okay=False),
    ] = None,
    without_details: Annotated[
        bool,
        typer.Option("--without-details", help="Do not ask the web for details: for a token that does not open them."),
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="Default: one for each processor.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict for a machine, on the standard output.")] = False,
) -> None:
    """Verify the log: tree, every checkpoint, entries, sealed details, order of withdrawals, keys, erasures, indexes.

    Exit code 0: it verifies. 1: it does not; each finding names its place. 2: it could not be read, or the key is none.
    With --from and --key no setting is needed.
    """
    from audit.note import NoteInvalid
    from audit.replay.run import Options, verify
    from audit.sources.locate import source_of
    from audit.sources.port import SourceUnavailable

    if source is None or key is None:
        settings = settings_of_environment()
        source = source or settings.database_url
        key = key or log_key(settings)
    with explained(NoteInvalid, SourceUnavailable, OSError, UnicodeDecodeError), _progress() as progress:
        note = None if since is None else _read(since)
        token = None if token_file is None else _read(token_file).strip()
        options = Options(note, tuple(witness or ()), processes, progress=progress)
        verdict = verify(source_of(source, token=token, details=not without_details), key, options)
    _tell(verdict, as_json=as_json)
    if not verdict.ok:
        raise typer.Exit(1)


@audit_app.command("verify-proof")
def audit_verify_proof(
    file: Annotated[
        Path,
        typer.Argument(help="A proof of 'mes accès' or an auditor's, or a receipt.", exists=True, dir_okay=False),
    ],
    key: Annotated[
        str | None, typer.Option(help="The log's verifier key (C2SP vkey); default: from ACCORD_KEYS_DIR.")
    ] = None,
    entry: Annotated[
        Path | None, typer.Option(help="The entry's bytes, which a receipt does not have.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Check one access's proof: it is in the log that the key signs, and its detail is what the entry seals.

    With --key no setting is needed, and no network: nobody has to be trusted but whoever gave the key.
    """
    from audit.verifier import VerificationFailed

    with explained(OSError):
        content, leaf = _bytes(file), None if entry is None else _bytes(entry)
    try:
        proven = _proven(content, leaf, key or log_key(settings_of_environment()))
    except VerificationFailed as error:
        err.print(f"The proof does not verify: {error}.", style="bold red", markup=False)
        raise typer.Exit(1) from None
    out.print(f"The proof verifies: entry {proven.index} of {proven.checkpoint.origin}.", markup=False)
    for name in ("time", "recipient", "dataset", "fields", "rules", "purpose", "outcome"):
        if name in proven.entry:
            out.print(f"  {name}: {_told(proven.entry[name])}", markup=False)


def _proven(content: bytes, leaf: bytes | None, vkey: str) -> "ProvenEntry":
    """A file with everything in it, or a receipt with the entry beside it."""
    from audit.proof import HEADER
    from audit.verifier import VerificationFailed, verify_proof_file, verify_receipt

    if not content.startswith(HEADER.encode()):
        return verify_proof_file(content, vkey)
    if leaf is None:
        raise VerificationFailed("a receipt proves the entry that is given with --entry")
    return verify_receipt(content.decode(errors="replace"), leaf, vkey)


def _tell(verdict: "Verdict", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(verdict.as_json(), ensure_ascii=False))
        return
    for finding in verdict.findings:
        err.print(f"  {finding}", markup=False, emoji=False)
    for sentence in verdict.unchecked:
        err.print(f"  Not checked: {sentence}.", markup=False, emoji=False)
    if verdict.ok:
        out.print(verdict.sentence(), markup=False)
    else:
        err.print(verdict.sentence(), style="bold red", markup=False)


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None] | None]":
    """A bar on the standard error, where somebody looks at it."""
    if not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), MofNCompleteColumn(), "entries", TimeRemainingColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("verify", total=None)

        def tell(done: int, entries: int) -> None:
            bar.update(task, completed=done, total=entries)

        yield tell


def _read(file: Path) -> str:
    """A small text file. Raises ``OSError`` and ``UnicodeDecodeError``."""
    from audit.checkpoint import MAX_NOTE_BYTES

    with file.open("rb") as opened:
        return opened.read(MAX_NOTE_BYTES + 1).decode()


def _bytes(file: Path) -> bytes:
    from audit.verifier import MAX_PROOF_FILE_BYTES

    with file.open("rb") as opened:
        return opened.read(MAX_PROOF_FILE_BYTES + 1)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
