"""The citizen's own FranceConnect token beside her consent token, for holders that know her by it alone.

Such a holder answers about whoever the token is of. So FranceConnect is asked first, and unless it tells of the person
who agreed the holder is not: an application cannot have one citizen's data under another's authorisation.
"""

import hmac
import re
from collections.abc import Iterable
from typing import Protocol

from consent.checktoken import CheckedToken
from consent.identity import pseudonym
from consent.model import Client
from exchange.asgi import Header
from exchange.model import ConsentToken, Refusal
from openapi.problem import AccordError

HEADER = b"x-franceconnect-oauth"
MAX_TOKEN_BYTES = 2_048

_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_EXPECTED = f"the citizen's FranceConnect access token, once, of at most {MAX_TOKEN_BYTES} characters"
_ANY_KEY = b"the same for both"


class Tokens(Protocol):
    """``exchange.dropin.franceconnect.FranceConnectTokens``."""

    async def check(self, token: bytes) -> CheckedToken:
        """Whose the token is. Raises ``AccordError``."""
        ...


def citizens_token(headers: Iterable[Header]) -> str | Refusal:
    """The token of :data:`HEADER`, of the form of one (RFC 6750 section 2.1). Pure."""
    values = [value for name, value in headers if name == HEADER]
    if len(values) != 1 or len(values[0]) > MAX_TOKEN_BYTES or not _TOKEN.fullmatch(values[0]):
        return Refusal("request_malformed", {"field": "X-FranceConnect-OAuth", "expected": _EXPECTED})
    return values[0].decode("ascii")


async def confirm(shown: str, tokens: Tokens | None, *, consent: ConsentToken, client: Client | None) -> None:
    """Raise ``AccordError`` unless ``shown`` is the token of the person who agreed, got by this application.

    ``tokens``: None where this deployment cannot ask, and then nothing is confirmed.
    """
    if tokens is None:
        raise AccordError("franceconnect_unreachable")
    checked = await tokens.check(shown.encode())
    if client is None or checked.client_id != client.franceconnect_client_id:
        # As FranceConnect knows the application that it gave the token to; the registry must say which is this one.
        raise AccordError("client_unknown")
    ours, theirs = (pseudonym(one, _ANY_KEY) for one in (consent.identity, checked.identity))
    if not hmac.compare_digest(ours, theirs):
        raise AccordError("identity_not_consented", parameters=("X-FranceConnect-OAuth",))
