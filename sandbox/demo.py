"""``accord demo``: the whole world on this machine, for a person with a browser or walked without one."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

from rich.console import Console
from rich.prompt import Confirm

from exchange.keyring import KeyringError
from sandbox.api_particulier import FamiliesInvalid
from sandbox.app import create_sandbox, people_of
from sandbox.browser import Browser, PageMissing
from sandbox.buyers import BIDDER
from sandbox.journey import Journey, Unexpected
from sandbox.ports import PortTaken, choose_port
from sandbox.proconnect import agents_of
from sandbox.servers import ServerFailed, accord_running, failure_of, run_accord, sandbox_running
from sandbox.world import World, make_world

DONE, FAILED, INTERRUPTED = 0, 1, 130
PEOPLE_SHOWN = 5

_LOOK_SECONDS = 0.5


def run_demo(
    *,
    headless: bool,
    fixtures: Path | None,
    port: int = 8000,
    sandbox_port: int = 8001,
    folder: Path | None,
    console: Console,
) -> int:
    """Run the demo until Ctrl-C, or walk it when ``headless``; return the exit code.

    0: walked to the end, or stopped by the person. 1: anything unexpected, told in a sentence. 130: a walk
    interrupted. ``folder`` keeps the world; without one it is temporary.
    """
    with ExitStack() as world_life:
        try:
            world_life.enter_context(_stoppable())
            ports = _choose_ports(port, sandbox_port, agree=_agreement(console, headless=headless))
            home = folder or Path(world_life.enter_context(tempfile.TemporaryDirectory(prefix="accord-demo-")))
            world = make_world(home.resolve(), port=ports[0], sandbox_port=ports[1], fixtures=fixtures)
            process = _start(world, world_life, console, sandbox_port=ports[1])
            _show(world, process, console, headless=headless)
        except (PortTaken, FamiliesInvalid, KeyringError, ServerFailed, PageMissing, Unexpected) as failure:
            console.print(str(failure), style="bold red", markup=False)
            return FAILED
        except KeyboardInterrupt:
            console.print("\nStopping.")
            return INTERRUPTED if headless else DONE
    return DONE


def _choose_ports(port: int, sandbox_port: int, *, agree: Callable[[str], bool]) -> tuple[int, int]:
    accord = choose_port(port, option="--port", agree=agree)
    return accord, choose_port(sandbox_port, option="--sandbox-port", avoid=accord, agree=agree)


def _agreement(console: Console, *, headless: bool) -> Callable[[str], bool]:
    """Ask whoever is there; with nobody to ask, say it and take the other port."""
    if headless or not (console.is_terminal and sys.stdin.isatty()):

        def announce(offer: str) -> bool:
            console.print(f"{offer} Taking it.")
            return True

        return announce
    return lambda offer: Confirm.ask(f"{offer} Use it?", console=console, default=True)


def _start(world: World, world_life: ExitStack, console: Console, *, sandbox_port: int) -> "subprocess.Popen[bytes]":
    with console.status("Making keys, tables and registry..."):
        run_accord(["keys", "init"], folder=world.folder)
        run_accord(["db", "migrate"], folder=world.folder)
        run_accord(["registry", "load", str(world.registry)], folder=world.folder)
    with console.status("Starting Accord and the sandbox..."):
        world_life.enter_context(sandbox_running(create_sandbox(world.sandbox), port=sandbox_port))
        return world_life.enter_context(accord_running(folder=world.folder, url=world.accord_url))


def _show(world: World, process: "subprocess.Popen[bytes]", console: Console, *, headless: bool) -> None:
    if headless:
        with Browser() as browser:
            Journey(world, console, browser).walk()
        return
    _invite(world, console)
    while True:
        try:
            process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        raise failure_of(process, folder=world.folder)


def _invite(world: World, console: Console) -> None:
    console.print("\n[bold]Accord is running.[/bold] Open the town's portal and ask for a quotient familial:")
    console.print(f"  {world.sandbox_url}/", style="bold", markup=False)
    console.print("Log in at the FranceConnect stand-in as any of its people, for instance:")
    for person in people_of(world.sandbox.families)[:PEOPLE_SHOWN]:
        console.print(f"  {person.label}", markup=False)
    console.print(f"Then see who accessed what at {world.accord_url}/mes-acces, and withdraw when you like.")
    console.print(f"Auditors read the whole log at {world.accord_url}/audit; ProConnect's stand-in knows:")
    for agent in agents_of(world.sandbox.portal.recipient):
        console.print(f"  {agent.label}", markup=False)
    console.print("Everything about a company that bids, with its SIRET alone:")
    console.print(f"  {_bid(world)}", markup=False, soft_wrap=True)
    console.print("Ctrl-C stops everything.")


def _bid(world: World) -> str:
    """The request of the town's procurement application, as a person types it; its token lives as long as the demo."""
    asked = urlencode({"siret": BIDDER, "context": "Marché public", "object": "Démonstration"})
    url = f"{world.accord_url}/v1/bundles/dossier_marche_public?{asked}"
    return f"curl -H 'Authorization: Bearer {world.buyers_token}' '{url}'"


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM stops like Ctrl-C; while stopping, a second signal does not break the first one's work off."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
