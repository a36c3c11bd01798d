"""What stands before each question about a dataset, in this order.

1. maintenance: is the holder away, as the manifest announces?
2. the holder: does its breaker let a call through, has it room (``transport.py``)?
3. the dataset: does its own breaker let a question through, do the manifest's limits, has it room?
4. ask
5. what came of it: the breaker learns it; a 429 closes the limit until the holder's own time

What cuts a holder off (no connection) is the matter of all its datasets, and its transport's. What a dataset does to
its questions (failures announced, silence, nonsense) is that dataset's alone: behind one address stand many holders.
Nothing here waits: a refusal comes at once and says when to come back.
"""

import time
from collections.abc import Callable
from math import ceil

from providers.breaker import Breaker
from providers.errors import (
    AnswerInvalid,
    HolderBusy,
    HolderCutOff,
    HolderFailed,
    HolderInMaintenance,
    HolderTimeout,
    HolderUnreachable,
    ProviderError,
)
from providers.maintenance import away_for
from providers.model import Manifest
from providers.port import Adapter, Answer, HolderReply, HolderRequest, Query
from providers.rate import Rate, told_to_wait
from providers.transport import Tell, Transport

BUSY_SECONDS = 1
"""To wait for room."""

_FAILURES = (HolderUnreachable, HolderTimeout, HolderFailed, AnswerInvalid)
_SAYS_NOTHING = (HolderCutOff, HolderBusy)
"""Of the dataset: neither that it serves nor that it does not."""
_TOO_MANY_REQUESTS = 429


class Guard:
    """Of one dataset. The event loop alone may touch it; an adapter asks once a question."""

    def __init__(
        self,
        manifest: Manifest,
        adapter: Adapter,
        transport: Transport,
        *,
        rate: Rate,
        allowance: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        tell: Tell = lambda _word, _what, _seconds: None,
    ) -> None:
        self._manifest = manifest
        self._holder = manifest.holder
        self._adapter = adapter
        self._transport = transport
        self._rate = rate
        self._breaker = Breaker()
        # What one dataset may take of this process: not divided, but more where the holder grants more.
        self._room = int(manifest.limits.max_in_flight * max(1.0, allowance))
        self._clock = clock
        self._wall = wall
        self._tell = tell

    async def ask(self, query: Query) -> Answer:
        """The holder's answer. Raises :class:`providers.errors.ProviderError`."""
        era = self._enter()
        try:
            answer = await self._adapter.fetch(query, self._send)
        except ProviderError as error:
            self._learn(era, error)
            raise
        except BaseException:
            self._breaker.left(era)
            raise
        else:
            self._serves(era)
            return answer
        finally:
            self._room += 1

    def _enter(self) -> int:
        """Everything is looked at before anything is counted."""
        if self._manifest.maintenance and (away := away_for(self._manifest.maintenance, self._wall())):
            raise HolderInMaintenance(self._holder, retry_in=away)
        self._transport.check()
        now = self._clock()
        if wait := self._breaker.wait(now):
            raise HolderUnreachable(self._holder, retry_in=ceil(wait))
        if wait := self._rate.wait(now):
            raise HolderBusy(self._holder, retry_in=ceil(wait))
        if self._room <= 0:
            raise HolderBusy(self._holder, retry_in=BUSY_SECONDS)
        self._room -= 1
        self._rate.enter(now)
        return self._breaker.enter()

    async def _send(self, request: HolderRequest) -> HolderReply:
        reply = await self._transport.send(request)
        if reply.status == _TOO_MANY_REQUESTS:
            self._rate.close(self._clock(), told_to_wait(reply.headers, self._wall()))
        return reply

    def _learn(self, era: int, error: ProviderError) -> None:
        if isinstance(error, _SAYS_NOTHING):
            self._breaker.left(era)
        elif isinstance(error, _FAILURES):
            if self._breaker.failed(era, self._clock()):
                self._tell("down", self._manifest.dataset, self._breaker.rest)
        else:
            # A refusal of this question is an answer: the holder serves.
            self._serves(era)

    def _serves(self, era: int) -> None:
        if self._breaker.succeeded(era):
            self._tell("back", self._manifest.dataset, 0.0)
