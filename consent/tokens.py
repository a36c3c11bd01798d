"""Consent tokens (RFC 9068): a JWT that says what a grant allows, for ten minutes at most. Pure."""

from dataclasses import dataclass, field

import jwt

from consent.config import ConsentConfig
from consent.details import to_claims
from consent.identity import pairwise_subject
from consent.model import Grant

STATUS_LIST = "/status/0"
"""Where the status list that holds every grant's index is published, under the issuer."""


@dataclass(frozen=True, slots=True)
class ConsentToken:
    """A token as the token endpoint answers it. ``expires_in``: seconds."""

    token: str = field(repr=False)
    expires_in: int
    grant: Grant


def make_token(grant: Grant, config: ConsentConfig, *, now: int, jti: str) -> ConsentToken:
    """A token for an active grant, signed with the newest key; it never outlives the grant."""
    key = config.token_keys.current
    expires_at = min(now + config.token_lifetime, grant.expires_at)
    claims = {
        "iss": config.issuer,
        "aud": config.audience,
        "sub": pairwise_subject(grant.citizen, grant.recipient, config.pseudonym_key),
        "client_id": grant.client_id,
        "iat": now,
        "exp": expires_at,
        "jti": jti,
        "grant_id": grant.grant_id,
        "acr": grant.acr,
        "authorization_details": to_claims(grant.details),
        "status": {"status_list": {"idx": grant.status_index, "uri": config.issuer + STATUS_LIST}},
        "identity": grant.identity,
        "notice_sha256": grant.notice_sha256,
    }
    token = jwt.encode(claims, key.private, algorithm="ES256", headers={"typ": "at+jwt", "kid": key.kid})
    return ConsentToken(token, expires_at - now, grant)
