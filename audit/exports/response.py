"""An export as an answer that ends when its reader leaves, or takes nothing for a minute.

The framework lets go of what it was sending from and leaves the rest to Python's collector, which in a process that
makes hardly any cycles comes minutes later. Until then the export would hold one of the few places for heavy readings.
"""

import asyncio
from collections.abc import Generator, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

MEDIA_TYPE = "application/zip"
PATIENCE = 60.0
"""Seconds that a reader is given to take what was sent before more is made for her."""


class ExportResponse(StreamingResponse):
    """Sends the chunks of an archive, which threads make; closes them at the end, whatever the end is."""

    def __init__(self, chunks: Iterator[bytes], *, headers: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._sent = _closing(chunks)
        self._patience = patience
        super().__init__(self._sent, headers=headers, media_type=MEDIA_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, then close. No thread makes a chunk any more: the framework waits for the one that does."""

        async def bounded(message: Message) -> None:
            # TimeoutError is an OSError: for the framework the reader is gone.
            await asyncio.wait_for(send(message), self._patience)

        try:
            await super().__call__(scope, receive, bounded)
        finally:
            self._sent.close()


def _closing(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The chunks; to close this is to close what they come from."""
    yield from chunks
