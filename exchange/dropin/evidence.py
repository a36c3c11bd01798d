"""What a caller shows at a drop-in door, verified: an application's own token, or a consent token in force."""

from base64 import urlsafe_b64decode
from typing import Any

import orjson

from consent.model import Client
from exchange.application import authenticate, digest_of
from exchange.consent_token import MAX_TOKEN_BYTES, ConsentTokenVerifier
from exchange.dropin.call import Call
from exchange.dropin.door import Visitor
from exchange.knowledge import Knowledge, check_standing
from exchange.model import Asked
from exchange.recipient import Recipient
from openapi.problem import AccordError

CONSENT_HEADER = b"x-accord-consent-token"

_TYPES = ("at+jwt", "application/at+jwt")
_PARTS = 3


class Evidence:
    """Checks what is shown against the keys, the registry and the status list."""

    def __init__(self, *, knowledge: Knowledge, verifier: ConsentTokenVerifier, recipient: Recipient) -> None:
        self._knowledge = knowledge
        self._verifier = verifier
        self._recipient = recipient

    def is_application(self, token: bytes) -> bool:
        """Whether an application is registered with this token."""
        return digest_of(token) in self._knowledge.registry.tokens

    def address(self, call: Call) -> str:
        """Where the call comes from."""
        return self._recipient.address(call.scope)

    def check_address(self, call: Call, client: Client) -> None:
        """Raise ``address_not_allowed`` unless the call comes from where the application's may."""
        self._recipient.check_address(call.scope, client)

    def check_fresh(self) -> None:
        """Raise ``status_feed_stale`` when the registry in memory is too old to be relied on."""
        if not self._knowledge.is_fresh:
            raise AccordError("status_feed_stale", retry_in=1)

    def application(self, call: Call, token: bytes) -> Visitor:
        """The application of its own token. Raises ``AccordError``; ``status_feed_stale`` rather than guess."""
        self.check_fresh()
        caller = authenticate(
            call.scope,
            token,
            call.proofs,
            registry=self._knowledge.registry,
            recipient=self._recipient,
            now=call.began,
        )
        return Visitor(caller.client, caller.spends)

    def consent(self, call: Call) -> Visitor:
        """The application that a consent token was given to, with it as its access token. Raises ``AccordError``."""
        return self._consent(call, Asked("", token=call.token, is_dpop=call.is_dpop, proofs=call.proofs))

    def consent_beside(self, call: Call, visitor: Visitor) -> Visitor:
        """The same application, with the consent token of the header beside its own, if there is one.

        A token that is bound to a key is refused there: it is proved as an access token only.
        """
        values = [value for name, value in call.scope["headers"] if name == CONSENT_HEADER]
        if not values:
            return visitor
        if len(values) > 1 or len(values[0]) > MAX_TOKEN_BYTES:
            raise AccordError("token_malformed")
        shown = self._consent(call, Asked("", token=values[0].strip()))
        if shown.client.client_id != visitor.client.client_id:
            raise AccordError("token_claims_invalid", claim="client_id")
        return Visitor(visitor.client, visitor.spends, shown.consent)

    def _consent(self, call: Call, asked: Asked) -> Visitor:
        token = self._verifier.verify(asked.token, now=call.began)
        client = self._knowledge.registry.clients.get(token.client_id)
        proof = self._recipient.check(call.scope, asked, token, client=client, now=call.began)
        if client is None:
            raise AccordError("client_unknown")
        check_standing(token, self._knowledge)
        return Visitor(client, () if proof is None else (proof,), token)


def looks_like_consent(token: bytes) -> bool:
    """Whether a token says that it is one of ours: a JWT of type ``at+jwt`` (RFC 9068). Nothing is believed of it."""
    parts = token.split(b".")
    return len(parts) == _PARTS and _header(parts[0]).get("typ") in _TYPES


def _header(segment: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}
