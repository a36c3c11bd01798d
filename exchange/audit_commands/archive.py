"""``accord audit archive``."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.audit_commands.app import audit_app
from exchange.console import err, explained, out, settings_of_environment


@audit_app.command("archive")
def audit_archive(
    *,
    period: Annotated[str, typer.Option(help="The month (2026-10) or the year (2026) to archive, in UTC.")],
    to: Annotated[
        Path | None,
        typer.Option(help="A new folder, or a new file ending in .zip; default: accord-PERIOD.zip here."),
    ] = None,
    details: Annotated[
        bool,
        typer.Option(
            "--with-details/--without-details",
            help="Include the sealed details still kept: pseudonymised personal data, which the archives service must "
            "then destroy at the end of ACCORD_ARCHIVE__DETAILS_RULE.",
        ),
    ] = False,
) -> None:
    """Write a period of the log as a SEDA 2.3 transfer that verifies years later with no Accord running.

    A month or year that is over: manifest.xml, and in content/ the entries, the hashes and checkpoints that prove them,
    the public key, instructions in French and English, and a verifier that needs Python and 'cryptography' alone. What
    was written is verified before the command says done, and the act is an entry of the log ('archive.made').
    """
    from audit.archive import ArchiveRefused, ArchiveUnsound
    from exchange.archiving import archive

    settings = settings_of_environment()
    target = to or Path(f"accord-{period}.zip")
    try:
        with explained(ArchiveRefused):
            made = archive(settings, period, target=target, details=details)
    except ArchiveUnsound as unsound:
        err.print("What was written does not verify, and was not kept:", style="bold red")
        for finding in unsound.findings:
            err.print(f"  {finding}", markup=False)
        raise typer.Exit(1) from None
    kind = "with" if made.details else "without"
    out.print(f"{target}: {made.files} files and their manifest, verified.", markup=False)
    out.print(
        f"Entries {made.first} to {made.last} ({made.last - made.first + 1}) of {made.period}, {kind} details, proven "
        f"by the checkpoint of {made.size} entries; SHA-256 of the manifest: {made.manifest_sha256}",
        markup=False,
    )
