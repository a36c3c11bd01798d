"""``accord audit witness``: cosign the checkpoints of other deployments' logs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.audit_commands.app import audit_app
from exchange.console import err, explained, out

if TYPE_CHECKING:
    from fastapi import FastAPI

    from audit.cosignature import Cosigner

MAX_KEY_BYTES = 4_096
MOST_CONNECTIONS = 256

witness_app = typer.Typer(
    no_args_is_help=True, help="A witness: sees that another deployment's log only grows, and signs that it does."
)
audit_app.add_typer(witness_app, name="witness")

_Key = Annotated[Path, typer.Option(help="The witness's signing key.", dir_okay=False)]
_State = Annotated[Path, typer.Option(help="What the witness cosigned last, in SQLite.", dir_okay=False)]


@witness_app.command("init")
def witness_init(
    name: Annotated[str, typer.Option(help="The witness's name: a host of yours and a path, without https://.")],
    key: _Key,
    state: _State,
) -> None:
    """Make a witness: its key, its empty state. Prints the verifier key, which the logs are to be given.

    Nothing that exists is replaced. Keep both files: a witness whose state is lost must not be started again under the
    same key, for it would cosign another history of a log.
    """
    from audit.cosignature import Cosigner
    from audit.note import NoteInvalid
    from audit.witness_state import WitnessState
    from exchange.keyring import write_private

    for file in (key, state):
        if file.exists():
            err.print(f"{file} exists: nothing was made", style="red", markup=False)
            raise typer.Exit(2)
    with explained(NoteInvalid, OSError):
        cosigner = Cosigner.generate(name)
        WitnessState.create(state)
        write_private(key, cosigner.private_text() + "\n")
    out.print(cosigner.vkey, markup=False)


@witness_app.command("serve")
def witness_serve(
    key: _Key,
    state: _State,
    log: Annotated[list[str], typer.Option(help="A log's verifier key (C2SP vkey); again for each log.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8100,
) -> None:
    """Serve POST /add-checkpoint (C2SP tlog-witness) for the logs named. Put TLS in front of it."""
    from audit.checkpoint import NoteVerifier
    from audit.note import NoteInvalid
    from audit.witness_server import Witness, create_witness
    from audit.witness_state import StateUnavailable, WitnessState
    from exchange.logs import configure_logs

    configure_logs("info")
    with explained(NoteInvalid, OSError):
        cosigner, logs = _key_in(key), [NoteVerifier(vkey) for vkey in log]
    try:
        opened = WitnessState(state)
    except StateUnavailable:
        err.print(f"{state}: no state of a witness; 'accord audit witness init' makes one", style="red", markup=False)
        raise typer.Exit(2) from None
    err.print(f"{cosigner.vkey}: witness of {', '.join(one.name for one in logs)}", markup=False)
    _run(create_witness(Witness(cosigner, state=opened, logs=logs, clock=time.time)), host, port)
    opened.close()


def _key_in(file: Path) -> "Cosigner":
    from audit.cosignature import Cosigner

    with file.open("rb") as opened:
        content = opened.read(MAX_KEY_BYTES)
    return Cosigner.parse(content.decode(errors="replace").strip())


def _run(app: "FastAPI", host: str, port: int) -> None:
    import uvicorn

    from exchange.protocol import BoundedProtocol

    uvicorn.run(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
