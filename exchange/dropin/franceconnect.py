"""A citizen's FranceConnect access token at a drop-in door: FranceConnect is asked about each, off the event loop.

What is asked at once is bounded, in threads of its own, so that a FranceConnect that is slow holds up nothing else.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from consent.checktoken import CheckedToken
from openapi.problem import AccordError

THREADS = 8
WAITING = 64
"""Questions under way or waiting; beyond it a caller is told to come back."""


class Checker(Protocol):
    """``consent.checktoken.TokenChecker``: blocks, with a deadline of its own."""

    def check(self, token: str) -> CheckedToken:
        """Whose the token is. Raises ``AccordError``."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class FranceConnectTokens:
    """Owned by one event loop, which is what guards its count."""

    def __init__(self, checker: Checker, *, jwks: Mapping[str, object]) -> None:
        self.jwks = jwks
        """The public halves of the keys to which FranceConnect encrypts its answers."""
        self._checker = checker
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="checktoken")
        self._waiting = 0

    async def check(self, token: bytes) -> CheckedToken:
        """Whose the token is. Raises ``AccordError``: ``overloaded``, or what the checker raises."""
        if self._waiting >= WAITING:
            raise AccordError("overloaded", retry_in=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, self._checker.check, token.decode("latin-1")
            )
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checker.close()
