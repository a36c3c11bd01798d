"""An application that calls with an access token of its own, as API Particulier and API Entreprise give them.

The token is a secret of 256 bits, known here by its SHA-256 in the registry; it has an end, and may be tied to a key
(DPoP, RFC 9449) and to addresses. It says who asks, and nothing about a citizen: what may be answered rests on a ground
besides.
"""

import hashlib
import secrets
from dataclasses import dataclass, field

from consent.model import Client
from exchange.asgi import Scope
from exchange.model import Registry
from exchange.recipient import Recipient
from openapi.problem import AccordError

MAX_TOKEN_BYTES = 4_096
TOKEN_PREFIX = "accord_"  # noqa: S105  # what a token begins with, so that leaked ones are found


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``spends``: what its DPoP proof spends in the log, if it sent one."""

    client: Client
    spends: tuple[str, ...] = field(default=(), repr=False)


def new_token() -> tuple[str, str]:
    """A token and the SHA-256, in hexadecimal, by which the registry knows it."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, digest_of(token.encode())


def digest_of(token: bytes) -> str:
    """SHA-256 in hexadecimal. The token has 256 bits of chance: looking its hash up tells nothing of it."""
    return hashlib.sha256(token).hexdigest()


def authenticate(
    scope: Scope, token: bytes, proofs: tuple[str, ...], *, registry: Registry, recipient: Recipient, now: float
) -> Caller:
    """The application of a token. Raises ``AccordError``: ``application_token_*``, ``address_*``, ``dpop_*``."""
    if not token:
        raise AccordError("application_token_missing")
    client_id = registry.tokens.get(digest_of(token)) if len(token) <= MAX_TOKEN_BYTES else None
    client = registry.clients.get(client_id) if client_id is not None else None
    if client is None:
        raise AccordError("application_token_unknown")
    if client.token_until is None or client.token_until <= now:
        raise AccordError("application_token_expired")
    recipient.check_address(scope, client)
    if client.token_jkt is None:
        if proofs:
            # A proof is never passed over: the token it came with is not what its sender believes.
            raise AccordError("dpop_key_mismatch")
        return Caller(client)
    return Caller(client, (recipient.check_proof(scope, proofs, token, jkt=client.token_jkt, now=now),))
