"""Steps 4 to 6 of every exchange, whichever door it came through: fetch, mask, log.

Nothing is returned whose entry is not durable. A refusal takes the log's way too; when the log cannot be written
nothing is answered but 503.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from audit.model import Append, LogError, Receipt
from exchange import journal
from exchange.masking import apply_mask, compile_mask
from exchange.model import About, Asked, Ground
from openapi.problem import AccordError
from providers.port import Answer, Query
from providers.registry import Dataset


class AccessLog(Protocol):
    """The part of the log that an exchange needs."""

    async def append(self, append: Append) -> Receipt:
        """Durable when it returns. Raises ``LogError``."""
        ...


class AlreadyLogged(AccordError):
    """A refusal that the commit itself wrote, or that cannot be written: it needs no entry more."""


@dataclass(frozen=True, slots=True)
class Released:
    """What may leave: the permitted part of the holder's answer, and its entry's receipt. ``repr`` shows nothing."""

    data: Mapping[str, object]
    answer: Answer
    receipt: Receipt

    def __repr__(self) -> str:
        return "Released(...)"


class Releases:
    """The way out."""

    def __init__(self, log: AccessLog, *, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock

    async def release(self, asked: Asked, dataset: Dataset, query: Query, ground: Ground, *, began: float) -> Released:
        """Ask the holder, keep what is permitted, write it down.

        Raises :class:`AccordError`: a holder's failure, which the door must log by :meth:`refuse`, or
        :class:`AlreadyLogged`.
        """
        # 4. fetch
        answer = await dataset.fetch(query)
        # 5. mask
        data = apply_mask(compile_mask(query.fields), answer.record)
        # 6. log
        entry = journal.access(
            asked, ground, query.fields, provider=dataset.manifest.holder, now=self._clock(), began=began
        )
        receipt = await self._append(entry)
        if receipt.refused is not None:
            # The commit itself wrote the refusal: a withdrawal or another use came first.
            raise AlreadyLogged(receipt.refused, **ground.facts)
        return Released(data, answer, receipt)

    async def refuse(self, asked: Asked, about: About, error: AccordError, *, began: float) -> AccordError:
        """Write a refusal down; what is to be answered: it, or that the log cannot be written."""
        if isinstance(error, AlreadyLogged):
            return error
        try:
            await self._append(journal.refusal(asked, about, error, now=self._clock(), began=began))
        except AlreadyLogged as unlogged:
            return unlogged
        return error

    async def _append(self, entry: Append) -> Receipt:
        try:
            return await self._log.append(entry)
        except LogError:
            raise AlreadyLogged("log_unavailable", retry_in=5) from None
