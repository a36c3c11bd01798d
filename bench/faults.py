"""What one holder's trouble costs the others: ``python -m bench.faults``.

One real gateway with two holders. Callers ask the one that serves, alone and while every place of the other is taken by
an answer that drips in. Rounds in turn, so that a machine that wanders does so for both.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

import uvloop

from bench.gateways.accord import start_on_sqlite
from bench.holder import ROOT, holder
from bench.load import Load, Loaded, apply_load
from bench.processes import HOST, Cores, Launch, free_port, running, wait_until_listening
from bench.world import EXPECTED, PATH, World, habilitation, holder_answer, make_world, write_tokens

DRIPPING = "quotient_goutte_a_goutte"
ROUNDS = 5
SECONDS = 5.0
CALLERS = 4
PLACES = 32
"""As many as a dataset has."""
DRIP_SECONDS = 8.0
"""Longer than a round, shorter than the deadline of ten: nothing fails, so that no breaker helps."""
_PIECES = 80


def main() -> None:
    """Print the figures of both, in milliseconds."""
    alone: list[Loaded] = []
    beside: list[Loaded] = []
    with tempfile.TemporaryDirectory(prefix="accord-bench-faults-") as place, _gateway(Path(place)) as (world, port):
        for _ in range(ROUNDS):
            alone.append(_measure(world, port))
            with _every_place_taken(world, port):
                beside.append(_measure(world, port))
    for name, rounds in (("alone", alone), ("beside one that drips", beside)):
        figures = [f"{median(one) / 1000:6.2f}" for one in zip(*[(r.p50_us, r.p99_us) for r in rounds], strict=True)]
        rate = median(r.answers / r.seconds for r in rounds)
        print(f"{name:22} p50 {figures[0]}  p99 {figures[1]} ms  {rate:6.0f}/s  wrong {sum(r.wrong for r in rounds)}")


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[World, int]]:
    cores = Cores.of_this_machine()
    with ExitStack() as life:
        world = make_world(folder, cores=cores, holder_url=life.enter_context(holder(folder, cores)))
        manifests = folder / "manifests"
        manifests.mkdir()
        (manifests / f"{DRIPPING}.toml").write_text(_manifest(), encoding="utf-8")
        with (folder / "registry.toml").open("a", encoding="utf-8") as registry:
            registry.write(habilitation(DRIPPING))
        token = world.environment["ACCORD_HOLDERS__API_PARTICULIER__TOKEN"]
        more = {
            "ACCORD_MANIFESTS_DIR": str(manifests),
            "ACCORD_HOLDERS__DRIPPING__URL": life.enter_context(_dripping(folder, cores)),
            "ACCORD_HOLDERS__DRIPPING__TOKEN": token,
        }
        world = replace(world, environment={**world.environment, **more})
        yield world, life.enter_context(start_on_sqlite(world, folder)).port


def _manifest() -> str:
    """The quotient familial, of another holder and without limits."""
    text = (ROOT / "providers/manifests/quotient_familial.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^limits = .*\n", "", text)
    text = re.sub(r"(?m)^dataset = .*", f'dataset = "{DRIPPING}"', text)
    return re.sub(r"(?m)^holder = .*", 'holder = "dripping"\nadapter = "api_particulier"', text)


def _measure(world: World, port: int) -> Loaded:
    write_tokens(world)
    url = f"http://{HOST}:{port}{PATH}"
    return apply_load(Load(url, world.tokens, EXPECTED, CALLERS, SECONDS), core=world.cores.rest)


@contextmanager
def _every_place_taken(world: World, port: int) -> Iterator[None]:
    """Each caller asks once; the last answer is whole before the next round begins."""
    tokens = write_tokens(world, dataset=DRIPPING, name="dripping.txt")
    url = f"http://{HOST}:{port}/v1/data/{DRIPPING}"
    command = [sys.executable, "-m", "bench.client", url, str(tokens), EXPECTED, str(PLACES), "0.1"]
    with running(Launch(command, core=world.cores.rest, folder=ROOT, log=world.folder / "dripping.log")) as callers:
        time.sleep(1)
        yield
        callers.wait(2 * DRIP_SECONDS)


@contextmanager
def _dripping(folder: Path, cores: Cores) -> Iterator[str]:
    port, log = free_port(), folder / "dripping-holder.log"
    launch = Launch([sys.executable, "-m", "bench.faults", str(port)], core=cores.rest, folder=ROOT, log=log)
    with running(launch) as process:
        wait_until_listening(process, port, log=log)
        yield f"http://{HOST}:{port}"


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = holder_answer()
    piece = -(-len(body) // _PIECES)
    with suppress(asyncio.IncompleteReadError, OSError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), piece):
            writer.write(body[start : start + piece])
            await asyncio.sleep(DRIP_SECONDS / _PIECES)
    writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_drip, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(_serve(int(sys.argv[1])))
    else:
        main()
