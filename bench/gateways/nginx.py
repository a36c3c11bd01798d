"""nginx as a plain proxy: no token, no log. The floor: what moving the bytes costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import nginx
from bench.gateways.port import Started
from bench.processes import Launch, free_port, running, wait_until_listening
from bench.world import World

_LOCATION = f'proxy_pass http://{nginx.UPSTREAM}; proxy_http_version 1.1; proxy_set_header Connection "";'


@contextmanager
def start(world: World, folder: Path) -> Iterator[Started]:
    """One nginx process."""
    port, log = free_port(), folder / "nginx.log"
    command = nginx.command(
        folder / "nginx", port=port, location=_LOCATION, upstream=world.holder_url.removeprefix("http://")
    )
    with running(Launch(command, core=world.cores.gateway, folder=folder, log=log)) as process:
        wait_until_listening(process, port, log=log)
        yield Started(process.pid, port)
