"""Consent tokens (RFC 9068): a JWT that says what a grant allows, for ten minutes at most. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from consent.config import ConsentConfig
from consent.details import to_claims
from consent.identity import pairwise_subject
from consent.model import Grant
from consent.sender import Binding
from consent.status import uri_of

BEARER = Binding({})
CLIENT_TOKEN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ConsentToken:
    """A token as the token endpoint answers it. ``expires_in``: seconds."""

    token: str = field(repr=False)
    expires_in: int
    grant: Grant
    binding: Binding = BEARER
    refresh_token: str | None = field(default=None, repr=False)


def make_token(
    grant: Grant,
    config: ConsentConfig,
    *,
    now: int,
    jti: str,
    binding: Binding = BEARER,
    refresh_token: str | None = None,
) -> ConsentToken:
    """A token for an active grant, signed with the key in use; it never outlives the grant."""
    uri, idx = uri_of(config.issuer, grant.status_index)
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
        "status": {"status_list": {"idx": idx, "uri": uri}},
        "identity": grant.identity,
        "notice_sha256": grant.notice_sha256,
        **({"cnf": dict(binding.cnf)} if binding.cnf else {}),
    }
    return ConsentToken(_signed(claims, config), expires_at - now, grant, binding, refresh_token)


def make_client_token(
    client_id: str, scope: str, config: ConsentConfig, *, now: int, jti: str, binding: Binding
) -> str:
    """An application's own token, for its grants' management and nothing else: the exchange refuses its audience."""
    claims = {
        "iss": config.issuer,
        "aud": grants_audience(config),
        "sub": client_id,
        "client_id": client_id,
        "scope": scope,
        "iat": now,
        "exp": now + CLIENT_TOKEN_SECONDS,
        "jti": jti,
        **({"cnf": dict(binding.cnf)} if binding.cnf else {}),
    }
    return _signed(claims, config)


def grants_audience(config: ConsentConfig) -> str:
    """Who accepts an application's own tokens."""
    return config.issuer + "/grants"


def read_token(token: str, config: ConsentConfig, *, audience: str, now: int) -> Mapping[str, Any] | None:
    """The claims of a token of ours for ``audience`` that is in time; ``None`` for anything else."""
    try:
        header = jwt.get_unverified_header(token)
        key = next(key for key in config.token_keys.signing if key.kid == header.get("kid"))
        claims: dict[str, Any] = jwt.decode(
            token,
            key.private.public_key(),
            algorithms=["ES256"],
            audience=audience,
            issuer=config.issuer,
            options={"require": ["exp", "iat", "jti"], "verify_exp": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, StopIteration, ValueError, RecursionError):
        return None
    return claims if header.get("typ") == "at+jwt" and claims["exp"] > now else None


def signed_introspection(introspection: Mapping[str, Any], config: ConsentConfig, *, client_id: str, now: int) -> str:
    """An introspection as a JWT for the application that asked (RFC 9701 section 5)."""
    claims = {"iss": config.issuer, "aud": client_id, "iat": now, "token_introspection": introspection}
    return _signed(claims, config, typ="token-introspection+jwt")


def _signed(claims: Mapping[str, Any], config: ConsentConfig, *, typ: str = "at+jwt") -> str:
    key = config.token_keys.current
    return jwt.encode(dict(claims), key.private, algorithm="ES256", headers={"typ": typ, "kid": key.kid})
