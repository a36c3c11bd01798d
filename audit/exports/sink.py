"""Where a writer that wants a file writes, so that its bytes can be handed on as they come."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 65_536
"""About how much is handed over at once."""


class Sink(io.RawIOBase):
    """A file that can be written alone, neither read nor sought. Holds what was not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self.size = 0
        """Bytes not taken yet."""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Keep a copy: writers use their buffers again."""
        written = bytes(data)
        self._held.append(written)
        self.size += len(written)
        return len(written)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._held)
        self._held.clear()
        self.size = 0
        return taken
