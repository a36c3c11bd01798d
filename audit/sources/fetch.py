"""Requests to a web server that nobody trusts: bounded as a whole in time and in size, one by one and together.

The event loop is there for its clock alone: a request is given up after so many seconds wherever it is by then, also
among headers that come byte by byte.
"""

import asyncio
from collections.abc import Mapping
from io import BytesIO
from typing import IO

import httpx

from audit.sources.port import SourceUnavailable

TIMEOUT_SECONDS = 15.0
"""Without a byte."""
WHOLE_SECONDS = 120.0
"""For one file."""
MAX_TOGETHER_BYTES = 2**28
"""Of files that are asked for together, which memory holds: for a part of the log, 8 KB for each of its entries."""
AT_ONCE = 4
"""Requests under way of one process."""
OK = 200
_TRIES = 3
_PAUSE_SECONDS = 1.0
_TRY_AGAIN = (429, 500, 502, 503, 504)


class Fetcher:
    """Gets what lies below an address. Every method but the last raises :class:`SourceUnavailable`."""

    def __init__(self, base: str, token: str | None) -> None:
        """``token``: a bearer token."""
        # Compressed, a little answer may grow without bound while it is read.
        headers = {"Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._base = base
        self._client = httpx.AsyncClient(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._runner = asyncio.Runner()

    def get(self, path: str, limit: int, into: IO[bytes], *, seconds: float | None = None) -> int:
        """The status; a file of at most ``limit`` bytes is written into a file, from its beginning on."""
        return self._runner.run(self._get(path, into, _Limit(limit), seconds or WHOLE_SECONDS))

    def get_all(self, paths: Mapping[str, int]) -> dict[str, tuple[int, bytes]]:
        """Status and content of files, each with its limit, a few at once."""
        return self._runner.run(self._get_all(paths))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    async def _get_all(self, paths: Mapping[str, int]) -> dict[str, tuple[int, bytes]]:
        turns, together = asyncio.Semaphore(AT_ONCE), _Limit(MAX_TOGETHER_BYTES)

        async def get(path: str, limit: int) -> tuple[int, bytes]:
            async with turns:
                content = BytesIO()
                status = await self._get(path, content, _Limit(limit, together), WHOLE_SECONDS)
                return status, content.getvalue()

        tasks = [asyncio.ensure_future(get(path, limit)) for path, limit in paths.items()]
        try:
            return dict(zip(paths, await asyncio.gather(*tasks), strict=True))
        finally:
            # After the first that failed nobody waits for the others.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _get(self, path: str, into: IO[bytes], limit: "_Limit", seconds: float) -> int:
        """Asked again a few times while the server says that it may do better later."""
        status = 0
        try:
            async with asyncio.timeout(seconds):
                for number in range(_TRIES):
                    await asyncio.sleep(_PAUSE_SECONDS * number)
                    try:
                        status = await self._get_once(path, into, limit)
                    except httpx.HTTPError as error:
                        if number == _TRIES - 1:
                            raise SourceUnavailable(f"{path}: no answer ({type(error).__name__})") from None
                        continue
                    if status not in _TRY_AGAIN:
                        break
        except TimeoutError:
            raise SourceUnavailable(f"{path} did not come within {seconds:.0f} seconds") from None
        return status

    async def _get_once(self, path: str, into: IO[bytes], limit: "_Limit") -> int:
        into.seek(0)
        into.truncate(0)
        limit.begin()
        async with self._client.stream("GET", f"{self._base}/{path}") as answer:
            if answer.status_code == OK:
                async for chunk in answer.aiter_bytes():
                    limit.take(path, len(chunk))
                    into.write(chunk)
            return answer.status_code


class _Limit:
    """Bytes that a file may have; ``together``: and that it may have with others."""

    def __init__(self, most: int, together: "_Limit | None" = None) -> None:
        self._most = most
        self._taken = 0
        self._together = together

    def begin(self) -> None:
        """Begin the file again: what was taken is given back."""
        if self._together is not None:
            self._together.give_back(self._taken)
        self._taken = 0

    def give_back(self, count: int) -> None:
        self._taken -= count

    def take(self, path: str, count: int) -> None:
        """Raises :class:`SourceUnavailable` when it is too much."""
        self._taken += count
        if self._taken > self._most:
            raise SourceUnavailable(f"{path} has more than the {self._most} bytes that it may have")
        if self._together is not None:
            self._together.take(f"{path}, with the files beside it,", count)
