"""What a door knows without asking the database: the registry in memory, and how each grant stands."""

from typing import Protocol

from consent.status import VALID, WITHDRAWN
from exchange.model import ConsentToken, Registry
from openapi.problem import AccordError


class Knowledge(Protocol):
    """``feed.py`` keeps it fresh."""

    @property
    def registry(self) -> Registry:
        """The registry in memory."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Whether it may be relied on."""
        ...

    def status(self, index: int) -> int:
        """The grant's status. Raises ``AccordError('status_feed_stale')`` rather than guess."""
        ...


def check_standing(token: ConsentToken, knowledge: Knowledge) -> None:
    """Raise ``grant_withdrawn``, ``grant_suspended`` or ``status_feed_stale`` unless the token's grant stands."""
    status = knowledge.status(token.status_index)
    if status != VALID:
        raise AccordError("grant_withdrawn" if status == WITHDRAWN else "grant_suspended")
