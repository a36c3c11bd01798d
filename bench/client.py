"""Our own load generator, for machines without wrk: ``python -m bench.client URL TOKENS EXPECTED CONNECTIONS SECONDS``.

A closed loop like wrk's: each connection asks again as soon as it is answered. It prints the line that ``wrk.lua``
prints. Unlike wrk it lets the requests under way end before it reports.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import cast
from urllib.parse import SplitResult, urlsplit

import httptools
import uvloop

DRAIN_SECONDS = 15.0
HTTP_PORT = 80

_OK = 200


@dataclass(slots=True)
class Tally:
    """What all connections share: the requests in turn, the count, the deadline. One thread, no lock."""

    requests: "cycle[bytes]"
    expected: bytes
    deadline: float
    right: int = 0
    wrong: int = 0
    latencies: list[float] = field(default_factory=list)

    def report(self, seconds: float) -> str:
        """The line that ``bench.load`` reads."""
        ordered = sorted(self.latencies)
        return json.dumps(
            {
                "answers": self.right,
                "wrong": self.wrong,
                "seconds": seconds,
                "p50_us": percentile_us(ordered, 50),
                "p99_us": percentile_us(ordered, 99),
            }
        )


def percentile_us(ordered: list[float], percent: int) -> int:
    """Nearest-rank percentile, in microseconds, of ordered seconds; 0 of none."""
    if not ordered:
        return 0
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1] * 1e6)


class Connection(asyncio.Protocol):
    """One connection of the closed loop; ``finished`` is set once the deadline has passed and no answer is awaited."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._asked_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection lost before its answer is a wrong answer."""
        del exc
        if not self.finished.done():
            self._tally.wrong += 1
            self.finished.set_result(None)

    def on_body(self, body: bytes) -> None:
        """Called by the parser with each piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        now = time.perf_counter()
        self._tally.latencies.append(now - self._asked_at)
        if self._parser.get_status_code() == _OK and self._tally.expected in self._body:
            self._tally.right += 1
        else:
            self._tally.wrong += 1
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        if now < self._tally.deadline:
            self._ask()
        else:
            self._finish()

    def _ask(self) -> None:
        if self._transport is not None:
            self._asked_at = time.perf_counter()
            self._transport.write(next(self._tally.requests))

    def _finish(self) -> None:
        self.finished.set_result(None)
        if self._transport is not None:
            self._transport.close()


def requests_for(url: SplitResult, tokens: Path) -> "cycle[bytes]":
    """The requests as bytes, one per token, over and over."""
    head = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer "
    return cycle([f"{head}{token}\r\n\r\n".encode() for token in tokens.read_text(encoding="ascii").split()])


async def apply_load(url: SplitResult, tally: Tally, *, connections: int) -> None:
    """Open the connections and wait until each has its last answer."""
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection(tally), url.hostname or "", url.port or HTTP_PORT)
        for _ in range(connections)
    ]
    seconds = tally.deadline - time.perf_counter() + DRAIN_SECONDS
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(connection.finished for _, connection in opened))


def main(arguments: list[str]) -> None:
    """Run from the command line."""
    url, tokens, expected, connections, seconds = arguments
    address = urlsplit(url)
    requests = requests_for(address, Path(tokens))
    began = time.perf_counter()
    tally = Tally(requests, expected.encode(), began + float(seconds))
    uvloop.run(apply_load(address, tally, connections=int(connections)))
    print(tally.report(time.perf_counter() - began))


if __name__ == "__main__":
    main(sys.argv[1:])
