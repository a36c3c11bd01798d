"""What every door of the data path is: a plain ASGI handler in front of the framework, bounded in number.

A door reads the request, finds out who asks and whether it may, and leaves the rest to ``release.py``. Whatever stops
it, a refusal or a defect of ours, is logged and answered in the door's own shape.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar
from uuid import uuid4

from exchange.asgi import Receive, Reply, Scope, Send
from exchange.logs import log_defect
from exchange.recipient import Recipient
from openapi.problem import AccordError


class Door(ABC):
    """Its only state is how many requests are under way: replicas are interchangeable."""

    METHODS: ClassVar[tuple[str, ...]] = ("GET",)
    MAX_IN_FLIGHT: ClassVar[int]
    """Requests that a process carries at once; beyond it a caller is told to come back rather than queued."""

    def __init__(self, recipient: Recipient, *, clock: Callable[[], float] = time.time) -> None:
        self._recipient = recipient
        self._clock = clock
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        reply = self._recipient.with_nonce(await self._bounded(scope, receive), scope, now=self._clock())
        if not reply.send_whole(scope):
            await reply.send(send)

    async def _bounded(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] not in self.METHODS:
            return self._refusal(scope, AccordError("method_not_allowed", allowed=", ".join(self.METHODS)))
        if self._in_flight >= self.MAX_IN_FLIGHT:
            return self._refusal(scope, AccordError("overloaded", retry_in=1))
        self._in_flight += 1
        try:
            return await self._exchange(scope, receive)
        finally:
            self._in_flight -= 1

    @abstractmethod
    async def _exchange(self, scope: Scope, receive: Receive) -> Reply:
        """The answer, whatever happens."""

    @abstractmethod
    def _refusal(self, scope: Scope, error: AccordError) -> Reply:
        """The answer to a request that is refused before it is one: it has no entry."""


def told(error: Exception, request_id: str) -> AccordError:
    """What is answered to an error. The last line of defence: a defect of ours is noted, and nothing of it is said."""
    if isinstance(error, AccordError):
        return error
    log_defect(error, request_id)
    return AccordError("internal_error")


def new_request_id() -> str:
    """The id of a request and of its entry."""
    return str(uuid4())
