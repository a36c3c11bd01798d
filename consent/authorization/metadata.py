"""Authorization server metadata (RFC 8414): what this server is and does, derived from the code that does it. Pure."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from consent.authorization import pkce
from consent.authorization.client_auth import ALGORITHMS
from consent.authorization.par import ACTIONS
from consent.authorization.token import GRANT_TYPES, SCOPES
from consent.dpop import ALGORITHMS as DPOP_ALGORITHMS
from consent.model import DETAIL_TYPE_PREFIX

_METHODS = ("private_key_jwt", "self_signed_tls_client_auth")


class Metadata(BaseModel):
    """RFC 8414 section 2, with the members of RFC 9126, 9207, 9396, 9449, 8705, 9701 and of Grant Management."""

    model_config = ConfigDict(extra="forbid")

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    pushed_authorization_request_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    grant_management_endpoint: str
    jwks_uri: str
    require_pushed_authorization_requests: bool = True
    authorization_response_iss_parameter_supported: bool = True
    response_types_supported: list[str] = ["code"]
    response_modes_supported: list[str] = ["query"]
    grant_types_supported: list[str] = [*GRANT_TYPES]
    scopes_supported: list[str] = [*SCOPES]
    code_challenge_methods_supported: list[str] = [pkce.METHOD]
    token_endpoint_auth_methods_supported: list[str] = [*_METHODS]
    token_endpoint_auth_signing_alg_values_supported: list[str] = [*ALGORITHMS]
    revocation_endpoint_auth_methods_supported: list[str] = [*_METHODS]
    revocation_endpoint_auth_signing_alg_values_supported: list[str] = [*ALGORITHMS]
    introspection_endpoint_auth_methods_supported: list[str] = [*_METHODS]
    introspection_endpoint_auth_signing_alg_values_supported: list[str] = [*ALGORITHMS]
    introspection_signing_alg_values_supported: list[str] = ["ES256"]
    tls_client_certificate_bound_access_tokens: bool = True
    dpop_signing_alg_values_supported: list[str] = [*DPOP_ALGORITHMS]
    authorization_details_types_supported: list[str]
    grant_management_actions_supported: list[str] = ["query", "revoke", *ACTIONS]
    grant_management_action_required: bool = False
    ui_locales_supported: list[str] = ["fr", "en"]


class ResourceMetadata(BaseModel):
    """RFC 9728 section 2: how the exchange's endpoints are protected."""

    model_config = ConfigDict(extra="forbid")

    resource: str
    authorization_servers: list[str]
    jwks_uri: str
    bearer_methods_supported: list[str] = ["header"]
    resource_name: str = "Accord"
    authorization_details_types_supported: list[str]
    dpop_signing_alg_values_supported: list[str] = [*DPOP_ALGORITHMS]
    tls_client_certificate_bound_access_tokens: bool = True


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


def metadata(issuer: str, *, datasets: Iterable[str]) -> Metadata:
    """The document for ``issuer``, which offers these datasets."""
    return Metadata(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/oauth/authorize",
        token_endpoint=f"{issuer}/oauth/token",
        pushed_authorization_request_endpoint=f"{issuer}/oauth/par",
        revocation_endpoint=f"{issuer}/oauth/revoke",
        introspection_endpoint=f"{issuer}/oauth/introspect",
        grant_management_endpoint=f"{issuer}/grants",
        jwks_uri=f"{issuer}/oauth/jwks",
        authorization_details_types_supported=_types(datasets),
    )


def resource_metadata(issuer: str, *, datasets: Iterable[str]) -> ResourceMetadata:
    """The exchange as a protected resource, which is its own authorization server."""
    return ResourceMetadata(
        resource=issuer,
        authorization_servers=[issuer],
        jwks_uri=f"{issuer}/oauth/jwks",
        authorization_details_types_supported=_types(datasets),
    )


def _types(datasets: Iterable[str]) -> list[str]:
    return [DETAIL_TYPE_PREFIX + dataset for dataset in sorted(datasets)]
