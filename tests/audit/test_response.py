"""An export ends when its reader takes nothing any more, and what it came from is let go."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from audit.exports.response import ExportResponse

SCOPE: Scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "method": "GET", "path": "/"}


class Source:
    closed = False

    def chunks(self) -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            self.closed = True


def test_a_reader_who_takes_nothing_is_let_go_in_time() -> None:
    source, taken = Source(), []

    async def send(message: Message) -> None:
        taken.append(message)
        if len(taken) > 3:
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    answer = ExportResponse(source.chunks(), headers={}, patience=0.05)
    with pytest.raises(ClientDisconnect):
        asyncio.run(answer(SCOPE, receive, send))
    assert len(taken) == 4
    assert source.closed
