"""``accord audit verify`` and ``verify-proof``."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.audit_commands.app import audit_app
from exchange.console import err, log_key, out, settings_of_environment


@audit_app.command("verify")
def audit_verify(
    database: Annotated[
        str | None, typer.Option("--from", help="The database to verify; default: ACCORD_DATABASE_URL.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The log's verifier key (C2SP vkey); default: from ACCORD_KEYS_DIR.")
    ] = None,
) -> None:
    """Replay the whole log: entries, tree, checkpoints, no access after its grant's end, nothing spent twice.

    With --from and --key no setting is needed.
    """
    from audit.verify_database import verify_database

    if database is None or key is None:
        settings = settings_of_environment()
        database = database or settings.database_url
        key = key or log_key(settings)
    verdict = verify_database(database, key)
    for finding in verdict.findings:
        err.print(f"  {finding}", markup=False)
    if not verdict.ok:
        err.print(f"The log does not verify: {len(verdict.findings)} findings.", style="bold red")
        raise typer.Exit(1)
    out.print(f"The log verifies: {verdict.size} entries, root {verdict.root.hex()}.")


@audit_app.command("verify-proof")
def audit_verify_proof(
    file: Annotated[Path, typer.Argument(help="A proof downloaded from 'mes accès'.", exists=True, dir_okay=False)],
    key: Annotated[
        str | None, typer.Option(help="The log's verifier key (C2SP vkey); default: from ACCORD_KEYS_DIR.")
    ] = None,
) -> None:
    """Check one access's proof: it is in the log that the key signs, and its detail is what the entry seals.

    With --key no setting is needed, and no network: nobody has to be trusted but whoever gave the key.
    """
    from audit.checkpoint import NoteInvalid
    from audit.verifier import MAX_PROOF_FILE_BYTES, VerificationFailed, verify_proof_file

    with file.open("rb") as opened:
        content = opened.read(MAX_PROOF_FILE_BYTES + 1)
    try:
        proven = verify_proof_file(content, key or log_key(settings_of_environment()))
    except (VerificationFailed, NoteInvalid) as error:
        err.print(f"The proof does not verify: {error}.", style="bold red", markup=False)
        raise typer.Exit(1) from None
    out.print(f"The proof verifies: entry {proven.index} of {proven.checkpoint.origin}.", markup=False)
    for name in ("time", "recipient", "dataset", "fields", "purpose", "outcome"):
        if name in proven.entry:
            out.print(f"  {name}: {_told(proven.entry[name])}", markup=False)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
