"""The command ``accord``: everything an operator does, each command with its exit code.

Exit codes: 0 done; 1 the thing checked is wrong; 2 the command or the settings are wrong.
"""

import hashlib
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from exchange.audit_commands import audit_app
from exchange.console import Commands, err, explained, out, settings_of_environment
from exchange.provider_commands import providers_app
from exchange.settings import setting_lines

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""[bold]Accord[/bold] exchanges citizens' data between administrations with the citizen's authorisation.

    A first deployment: set ACCORD_... ([bold]accord settings[/bold] lists them), then
    [bold]accord keys init[/bold], [bold]accord db migrate[/bold], [bold]accord registry load FILE[/bold] and
    [bold]accord serve[/bold]. To see it work first, without any setting: [bold]accord demo[/bold].

    Settings come from the environment and from a file [bold].env[/bold] in the working directory.""",
    epilog="Exit codes: 0 done; 1 what was checked is wrong; 2 the command or the settings are wrong.",
)
registry_app = typer.Typer(
    no_args_is_help=True, help="Who may ask for what: organisations, applications, habilitations."
)
keys_app = typer.Typer(no_args_is_help=True, help="The keys of this deployment.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
grants_app = typer.Typer(no_args_is_help=True, help="Citizens' authorisations, as an operator may act on them.")
app.add_typer(registry_app, name="registry")
app.add_typer(keys_app, name="keys")
app.add_typer(db_app, name="db")
app.add_typer(grants_app, name="grants")
app.add_typer(audit_app, name="audit")
app.add_typer(providers_app, name="providers")


@app.command()
def serve() -> None:
    """Serve the gateway, the OAuth endpoints and the citizens' pages.

    Refuses to start without keys, with pending migrations, or when the log contradicts itself. A worker that dies
    is started again.
    """
    from exchange.server import ServeRefused
    from exchange.server import serve as run

    settings = settings_of_environment()
    with explained(ServeRefused):
        run(settings)


@app.command()
def demo(
    *,
    headless: Annotated[
        bool, typer.Option("--headless", help="Walk the whole path without a browser, then stop.")
    ] = False,
    fixtures: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Serve the families of this folder, in API Particulier's fixture format."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Accord.")] = 8000,
    sandbox_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the sandbox.")] = 8001,
    folder: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where to keep the demo's world; default: a temporary folder.")
    ] = None,
) -> None:
    """See Accord work: a town's portal asks for a quotient familial, all on this machine.

    Starts Accord and a sandbox that stands in for FranceConnect, API Particulier and a town's portal.
    """
    # The one place that knows the sandbox, and only when it is asked for.
    from sandbox.demo import run_demo

    code = run_demo(
        headless=headless, fixtures=fixtures, port=port, sandbox_port=sandbox_port, folder=folder, console=out
    )
    raise typer.Exit(code)


@registry_app.command("load")
def registry_load(file: Annotated[Path, typer.Argument(help="The registry, in TOML.", dir_okay=False)]) -> None:
    """Load FILE in the place of what was loaded before; running gateways follow within a second.

    Every error is named by line or key and nothing is loaded unless the whole file is right.
    """
    from exchange.registry_file import RegistryFileError
    from exchange.registry_load import load_file

    settings = settings_of_environment()
    try:
        loaded = load_file(settings, file)
    except RegistryFileError as error:
        err.print(f"{file}: nothing was loaded", style="bold red")
        for line in error.errors:
            err.print(f"  {line}", markup=False)
        raise typer.Exit(1) from None
    out.print(loaded)


@registry_app.command("client-token")
def registry_client_token(
    client_id: Annotated[str, typer.Argument(help="The application that will call with it.")],
    days: Annotated[int, typer.Option(help="Days until it ends.", min=1, max=1100)] = 550,
) -> None:
    """Make the access token of an application written for API Particulier or API Entreprise, and its registry lines.

    The token is shown once and kept nowhere; the registry holds its hash.
    """
    from exchange.application import new_token

    token, digest = new_token()
    until = datetime.now(UTC).date() + timedelta(days=days)
    err.print(f"Give {client_id} this token, which is not shown again: {token}", markup=False)
    out.print(f'# under the [[client]] of {client_id}\ntoken_sha256 = "{digest}"\ntoken_until = {until}', markup=False)


@registry_app.command("auditor-token")
def registry_auditor_token(
    *,
    role: Annotated[Literal["auditor", "operator"], typer.Option(help="What the program may read.")] = "operator",
) -> None:
    """Make the token of a program that reads the log (a SIEM), and the lines that the registry needs.

    The token is shown once and kept nowhere; the registry holds its hash.
    """
    token, subject = secrets.token_urlsafe(32), f"a_{secrets.token_hex(32)}"
    err.print(f"Give the program this token, which is not shown again: {token}", markup=False)
    out.print(f'[[auditor]]\nsubject = "{subject}"\nrole = "{role}"', markup=False)
    out.print(f'token_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"', markup=False)


@keys_app.command("init")
def keys_init() -> None:
    """Make every key that is missing. An existing key is never replaced: that is what 'rotate' is for."""
    from exchange.keyring import make_keyring

    settings = settings_of_environment()
    made = make_keyring(settings.keys_dir, log_origin=settings.log_origin, now=time.time())
    out.print(f"{settings.keys_dir}: made {', '.join(made)}" if made else f"{settings.keys_dir}: every key was there")


@keys_app.command("rotate")
def keys_rotate(
    *,
    tokens: Annotated[bool, typer.Option("--tokens", help="The key that signs consent tokens.")] = False,
    identity: Annotated[bool, typer.Option("--identity", help="The key that seals identities.")] = False,
) -> None:
    """Replace the keys that sign consent tokens and seal identities while everything runs; both, or the one named.

    Running processes read a new key within a second and use it after ACCORD_KEY_PUBLISH_SECONDS. Every token and
    identity made before stays good. The rotation is written to the log first; without the log nothing is replaced.
    """
    from audit.model import LogError
    from exchange.keyring import IDENTITY, TOKENS, KeyringError
    from exchange.rotation import rotate_keys

    settings = settings_of_environment()
    named = [name for name, asked in ((TOKENS, tokens), (IDENTITY, identity)) if asked]
    with explained(KeyringError), explained(LogError):
        rotations = rotate_keys(settings, named or [TOKENS, IDENTITY])
    for rotation in rotations:
        out.print(rotation.told(publish_seconds=settings.key_publish_seconds), markup=False)


@keys_app.command("show")
def keys_show() -> None:
    """Show the public halves: the log's verifier key and the ids of the other keys."""
    from exchange.keyring import KeyringError, load_keyring

    settings = settings_of_environment()
    with explained(KeyringError):
        keyring = load_keyring(settings.keys_dir)
    out.print(f"log       {keyring.log.vkey}", markup=False)
    out.print(f"tokens    {', '.join(key.kid for key in keyring.tokens.signing)}", markup=False)
    out.print(f"identity  {', '.join(keyring.sealing.keys)}", markup=False)


@grants_app.command("suspend")
def grants_suspend(grant_id: Annotated[str, typer.Argument(help="The authorisation.")]) -> None:
    """Stop exchanges under an authorisation for a while, on every gateway within a second; the log says so."""
    _change_grant(grant_id, "suspend")


@grants_app.command("resume")
def grants_resume(grant_id: Annotated[str, typer.Argument(help="The authorisation.")]) -> None:
    """Let exchanges under a suspended authorisation go on; the log says so."""
    _change_grant(grant_id, "resume")


@db_app.command("migrate")
def db_migrate() -> None:
    """Bring the tables to the newest version. Safe to run twice, and from two places at once."""
    from exchange.database import migrate

    migrate(settings_of_environment().database_url)
    out.print("The database is at the newest version.")


@db_app.command("grant")
def db_grant(role: Annotated[str, typer.Argument(help="An existing PostgreSQL role.")]) -> None:
    """Give ROLE what 'accord serve' needs and nothing else: on the log's tables to read and to add, never to rewrite.

    Run it as the owner of the tables, and again after each 'accord db migrate'. Then serve with that role in
    ACCORD_DATABASE_URL; 'accord db migrate' and 'accord audit retain --apply', which erases, stay the owner's.
    """
    from exchange.database import open_engine
    from exchange.database_rights import RightsRefused, grant_application

    engine = open_engine(settings_of_environment().database_url)
    try:
        with explained(RightsRefused):
            grant_application(engine, role)
    finally:
        engine.dispose()
    out.print(f"{role}: reads and adds to the log, reads and writes the rest.", markup=False)


@app.command()
def openapi(
    *,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when the committed contract differs.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write openapi/accord.yaml.")] = False,
) -> None:
    """Print the contract (OpenAPI 3.1), check the committed one, or write it."""
    from exchange.contract import current_contract
    from openapi.document import COMMITTED, committed

    current = current_contract()
    if write:
        COMMITTED.write_text(current, encoding="utf-8")
    elif not check:
        sys.stdout.write(current)
    elif committed() != current:
        err.print("openapi/accord.yaml differs from the code: run 'make openapi' and read the difference", style="red")
        raise typer.Exit(1)


@app.command()
def settings() -> None:
    """List every setting, its default and its meaning."""
    table = Table("setting", "default", "meaning", box=None, pad_edge=False)
    for line in setting_lines():
        table.add_row(*line)
    out.print(table)


def _change_grant(grant_id: str, act: Literal["suspend", "resume"]) -> None:
    from audit.model import LogError
    from exchange.app import Accord
    from exchange.keyring import KeyringError
    from openapi.problem import AccordError, problem

    with explained(KeyringError, LogError):
        accord = Accord(settings_of_environment())
    try:
        grant = getattr(accord.desk, act)(grant_id)
    except AccordError as error:
        err.print(f"{grant_id}: {problem(error.slug).title['en']}", style="red", markup=False)
        raise typer.Exit(1) from None
    finally:
        accord.close()
    out.print(f"{grant.grant_id}: {grant.status}", markup=False)
