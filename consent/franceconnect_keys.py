"""FranceConnect's endpoints and keys, and its failures by their slugs: logins and checks of tokens stand on this."""

from collections.abc import Callable

import httpx2

from consent.discovery import LEEWAY, MALFORMED, TOKEN_LIMIT, ProviderKeys, Slugs, plain_client, signed_payload
from consent.outbound import TIMEOUT, BoundedTransport
from openapi.problem import AccordError

__all__ = [
    "LEEWAY",
    "MALFORMED",
    "SLUGS",
    "TOKEN_LIMIT",
    "FranceConnectKeys",
    "content_of",
    "invalid",
    "plain_client",
    "signed_payload",
]

SLUGS = Slugs(
    unreachable="franceconnect_unreachable", answer_invalid="franceconnect_answer_invalid", refused="login_refused"
)


class FranceConnectKeys(ProviderKeys):
    """One FranceConnect's endpoints and keys, shared by the request threads.

    Raises :class:`AccordError`: ``franceconnect_unreachable``, or ``franceconnect_answer_invalid`` with the check that
    failed.
    """

    def __init__(
        self, issuer: str, transport: BoundedTransport, *, clock: Callable[[], float], timeout: float = TIMEOUT
    ) -> None:
        super().__init__(issuer, transport, slugs=SLUGS, clock=clock, timeout=timeout)


def content_of(answer: httpx2.Response) -> bytes:
    """The body of an answer of success; a failure of FranceConnect's own is its absence."""
    return SLUGS.content_of(answer)


def invalid(check: str) -> AccordError:
    """The refusal of an answer; ``check`` is public and says nothing of its content."""
    return SLUGS.invalid(check)
