"""Authorization server metadata (RFC 8414): what this server is and does, derived from the code that does it. Pure."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from consent.authorization import pkce
from consent.authorization.client_auth import ALGORITHMS
from consent.authorization.token import GRANT_TYPE


class Metadata(BaseModel):
    """RFC 8414 section 2, with the members of RFC 9126, RFC 9207 and RFC 7636."""

    model_config = ConfigDict(extra="forbid")

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    pushed_authorization_request_endpoint: str
    jwks_uri: str
    require_pushed_authorization_requests: bool = True
    authorization_response_iss_parameter_supported: bool = True
    response_types_supported: list[str] = ["code"]
    response_modes_supported: list[str] = ["query"]
    grant_types_supported: list[str] = [GRANT_TYPE]
    code_challenge_methods_supported: list[str] = [pkce.METHOD]
    token_endpoint_auth_methods_supported: list[str] = ["private_key_jwt"]
    token_endpoint_auth_signing_alg_values_supported: list[str] = [*ALGORITHMS]
    ui_locales_supported: list[str] = ["fr", "en"]


class Jwk(BaseModel):
    """A public key of consent tokens (RFC 7517)."""

    model_config = ConfigDict(extra="forbid")

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str
    alg: str


class JwkSet(BaseModel):
    """The keys whose tokens are accepted, newest first."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[Jwk], Field(min_length=1)]


def metadata(issuer: str) -> Metadata:
    """The document for ``issuer``."""
    return Metadata(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/oauth/authorize",
        token_endpoint=f"{issuer}/oauth/token",
        pushed_authorization_request_endpoint=f"{issuer}/oauth/par",
        jwks_uri=f"{issuer}/oauth/jwks",
    )
