"""The holder's stand-in: the cheapest thing that answers like API Particulier, the same for every gateway.

nginx gives a fixed body when it is installed; otherwise ``python -m bench.holder PORT`` does, with a bare protocol.
"""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from bench import nginx
from bench.processes import HOST, Cores, Launch, free_port, running, wait_until_listening
from bench.world import holder_answer

ROOT = Path(__file__).resolve().parent.parent

_END_OF_REQUEST = b"\r\n\r\n"
_MAX_REQUEST_BYTES = 65_536


def kind() -> str:
    """Which program stands in for the holder here."""
    return "nginx" if shutil.which("nginx") else "bench.holder"


@contextmanager
def holder(folder: Path, cores: Cores) -> Iterator[str]:
    """The base URL of a running stand-in, away from the gateway's core."""
    port = free_port()
    log = folder / "holder.log"
    launch = Launch(_command(folder, port), core=cores.rest, folder=ROOT, log=log)
    with running(launch) as process:
        wait_until_listening(process, port, log=log)
        yield f"http://{HOST}:{port}"


def _command(folder: Path, port: int) -> list[str]:
    if kind() == "nginx":
        body = holder_answer().decode("ascii")
        location = f"default_type application/json; return 200 '{body}';"
        return nginx.command(folder / "holder", port=port, location=location)
    return [sys.executable, "-m", "bench.holder", str(port)]


class FixedAnswer(asyncio.Protocol):
    """Answers every request that ends in an empty line; bodies are not expected."""

    answer = b""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request, keep the rest."""
        *whole, self._received = (self._received + data).split(_END_OF_REQUEST)
        if self._transport is None:
            return
        if len(self._received) > _MAX_REQUEST_BYTES:
            self._transport.close()
        elif whole:
            self._transport.write(self.answer * len(whole))


async def serve(port: int) -> None:
    """Serve until killed."""
    body = holder_answer()
    FixedAnswer.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    server = await asyncio.get_running_loop().create_server(FixedAnswer, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
