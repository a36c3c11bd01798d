"""Steps 4 to 6 of every exchange, whichever door it came through: fetch, mask, log.

Nothing is returned whose entry is not durable. A refusal takes the log's way too; when the log cannot be written
nothing is answered but 503.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from audit.model import Append, LogError, Receipt
from exchange import journal
from exchange.masking import apply_mask, compile_mask
from exchange.model import About, Asked, Ground
from openapi.problem import AccordError
from openapi.rules import Rule, sources
from providers.derived import DerivedAnswer, derive, not_computable
from providers.errors import NotComputable
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
    derived: Mapping[str, DerivedAnswer] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Released(...)"

    def meta(self, asked: Asked, dataset: Dataset) -> dict[str, object]:
        """``meta`` of an answer in Accord's own shape."""
        return {
            "access_id": asked.request_id,
            "index": self.receipt.index,
            "entry": self.receipt.entry.decode(),
            "receipt": self.receipt.proof,
            "provider": dataset.manifest.holder,
            "retrieved_at": self.answer.retrieved_at,
        }


class Releases:
    """The way out."""

    def __init__(self, log: AccessLog, *, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock

    async def release(
        self,
        asked: Asked,
        dataset: Dataset,
        query: Query,
        ground: Ground,
        *,
        began: float,
        rules: tuple[Rule, ...] = (),
    ) -> Released:
        """Ask the holder, keep what is permitted, write it down.

        ``query.fields`` leave as they are; the fields of ``rules`` are asked for too, and only the answers leave.

        Raises :class:`AccordError`: a holder's failure, which the door must log by :meth:`refuse`, or
        :class:`AlreadyLogged`.
        """
        # 4. fetch
        derived: Mapping[str, DerivedAnswer] = {}
        if rules:
            answer, derived = await self._derived(dataset, query, rules)
        else:
            answer = await dataset.fetch(query)
        # 5. mask
        data = apply_mask(compile_mask(query.fields), answer.record)
        # 6. log
        entry = journal.access(
            asked,
            ground,
            query.fields,
            rules=rules,
            provider=dataset.manifest.holder,
            cached=answer.cached,
            now=self._clock(),
            began=began,
        )
        receipt = await self._append(entry)
        if receipt.refused is not None:
            # The commit itself wrote the refusal: a withdrawal or another use came first.
            raise AlreadyLogged(receipt.refused, **ground.facts)
        return Released(data, answer, receipt, derived)

    async def _derived(
        self, dataset: Dataset, query: Query, rules: tuple[Rule, ...]
    ) -> tuple[Answer, Mapping[str, DerivedAnswer]]:
        """The holder's answer, and what the rules say of it.

        A holder that cannot compute the value has answered, where only answers were asked for: they are that there is
        none. Beside data it stays the problem that it is.
        """
        try:
            answer = await dataset.fetch(replace(query, fields=(*query.fields, *sources(rules))))
        except NotComputable:
            if query.fields:
                raise
            return Answer({}, int(self._clock())), not_computable(rules, "not_computable_by_holder")
        return answer, derive(rules, answer.record, at=answer.retrieved_at)

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
