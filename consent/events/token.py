"""Security event tokens (RFC 8417) about a grant: which one (RFC 9493, ``opaque``), what became of it, when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from consent.config import ConsentConfig
from consent.model import GrantStatus

MEDIA_TYPE = "application/secevent+jwt"
PREFIX = "urn:accord:event:"
RENEWAL_DUE = PREFIX + "grant-renewal-due"
OF_STATUS: Mapping[GrantStatus, str] = {
    "active": PREFIX + "grant-resumed",
    "suspended": PREFIX + "grant-suspended",
    "withdrawn": PREFIX + "grant-withdrawn",
    "expired": PREFIX + "grant-expired",
}
"""The event of a grant that took a status."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to tell an application. ``created_at``: when it happened, Unix seconds."""

    jti: str
    client_id: str
    grant_id: str
    event: str
    created_at: int
    attempts: int = 0


def make_event_token(delivery: Delivery, config: ConsentConfig, *, now: int) -> str:
    """The signed token of a delivery; the same ``jti`` each time, so that a second one is recognised."""
    claims = {
        "iss": config.issuer,
        "aud": delivery.client_id,
        "iat": now,
        "jti": delivery.jti,
        "sub_id": {"format": "opaque", "id": delivery.grant_id},
        "events": {delivery.event: {"event_timestamp": delivery.created_at}},
    }
    key = config.token_keys.current
    headers = {"typ": "secevent+jwt", "kid": key.kid}
    return jwt.encode(claims, key.private, algorithm="ES256", headers=headers)
