"""The endpoints of the authorization server. They read a form, ask the desk and write its answer."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from consent.authorization.forms import Params, check_form, described, read_params
from consent.authorization.metadata import JwkSet, Metadata, ResourceMetadata, metadata, resource_metadata
from consent.authorization.par import PushedRequestForm, PushedResponse
from consent.authorization.revoke import Introspection, TokenReferenceForm
from consent.authorization.token import TokenForm, TokenResponse
from consent.config import ConsentConfig
from consent.desk import Desk
from consent.details import to_claims
from consent.errors import NO_STORE, ErrorCode, OAuthError
from consent.model import Client
from consent.sender import Sender
from consent.tokens import signed_introspection
from openapi.problem import MEDIA_TYPE

CERTIFICATE = "accord.client_certificate"
"""Key of a scope: the thumbprint of the certificate that a trusted proxy saw, set by ``exchange`` or absent."""
INTROSPECTION_JWT = "application/token-introspection+jwt"
MOST_PROOF_HEADERS = 2


class OAuthErrorBody(BaseModel):
    """RFC 6749 section 5.2. ``error_description`` names the check that failed and what to do."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorCode
    error_description: str


class GrantDocument(BaseModel):
    """A grant as its application sees it (Grant Management for OAuth 2.0, section 6.3)."""

    model_config = ConfigDict(extra="forbid")

    grant_id: str
    status: str
    authorization_details: list[dict[str, Any]]
    created_at: int
    expires_at: int
    supersedes: str | None = None


Authorize: TypeAlias = Callable[[Request, str], Client]

_Form: TypeAlias = Annotated[Params, Depends(read_params)]
_GrantId: TypeAlias = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
_PUBLIC = {"Cache-Control": "public, max-age=300"}
_PROOF = {
    "name": "DPoP",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 4096},
    "description": "a proof of the key that the token is bound to (RFC 9449)",
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthErrorBody, "description": "the request is refused"},
    401: {"model": OAuthErrorBody, "description": "the application did not prove who it is"},
    408: {"model": OAuthErrorBody, "description": "the form did not arrive in time"},
}
_UNRECORDED: dict[int | str, dict[str, Any]] = {
    503: {"description": "the log cannot be written: nothing was done", "content": {MEDIA_TYPE: {}}},
}
_MANAGED: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthErrorBody, "description": "the proof is refused"},
    401: {"model": OAuthErrorBody, "description": "no token for grant management"},
    403: {"model": OAuthErrorBody, "description": "the token has not the scope"},
    404: {"model": OAuthErrorBody, "description": "no grant of this application"},
}


def router(config: ConsentConfig, *, desk: Desk, datasets: Iterable[str]) -> APIRouter:
    """PAR, token, revocation, introspection, grants, keys and metadata; the authorization endpoint is a page."""
    routes = APIRouter(tags=["oauth"])
    sender = _Senders(config.issuer)
    _add_endpoints(routes, config, desk, sender)
    _add_token_references(routes, config, desk, sender)
    _add_grants(routes, desk, authorizer(config, desk))
    _add_documents(routes, config, tuple(datasets))
    return routes


def authorizer(config: ConsentConfig, desk: Desk) -> Authorize:
    """Who is behind a request whose ``Authorization`` carries an application's own token with a scope; blocking."""
    sender = _Senders(config.issuer)

    def authorize(request: Request, scope: str) -> Client:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return desk.issuance.manager(token.strip(), scheme.lower(), sender(request), scope=scope)

    return authorize


class _Senders:
    """Reads how a request came. The URL is the public one, whatever a proxy made of it."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def __call__(self, request: Request) -> Sender:
        return Sender(
            request.method,
            self._issuer + request.url.path,
            tuple(request.headers.getlist("dpop")[:MOST_PROOF_HEADERS]),
            request.scope.get(CERTIFICATE),
        )


def _add_endpoints(routes: APIRouter, config: ConsentConfig, desk: Desk, sender: _Senders) -> None:
    @routes.post(
        "/oauth/par",
        summary="Push an authorization request (RFC 9126)",
        status_code=201,
        responses=_REFUSALS,
        openapi_extra={**described(PushedRequestForm), "parameters": [_PROOF]},
    )
    def push_authorization_request(request: Request, params: _Form, response: Response) -> PushedResponse:
        """Say what is asked of the citizen, then send her browser to the authorization endpoint."""
        form, came = check_form(params, PushedRequestForm), sender(request)
        client = desk.issuance.authenticate(form, came)
        request_uri = desk.push(client, form, params, came)
        _never_stored(response, desk, came)
        return PushedResponse(request_uri=request_uri, expires_in=config.request_lifetime)

    @routes.post(
        "/oauth/token",
        summary="Exchange a code or a refresh token for a consent token (RFC 6749)",
        responses=_REFUSALS | _UNRECORDED,
        response_model_exclude_none=True,
        openapi_extra={**described(TokenForm), "parameters": [_PROOF]},
    )
    def issue_token(request: Request, params: _Form, response: Response) -> TokenResponse:
        """A code serves once, within a minute; using it again withdraws the authorisation."""
        form, came = check_form(params, TokenForm), sender(request)
        issued = desk.issuance.issue(desk.issuance.authenticate(form, came), form, came)
        _never_stored(response, desk, came)
        return issued


def _add_token_references(routes: APIRouter, config: ConsentConfig, desk: Desk, sender: _Senders) -> None:
    @routes.post(
        "/oauth/revoke",
        summary="Give the authorisation behind a token back (RFC 7009)",
        responses=_REFUSALS | _UNRECORDED,
        openapi_extra=described(TokenReferenceForm),
    )
    def revoke(request: Request, params: _Form) -> Response:
        """Ends the whole authorisation, whichever of its tokens is named; an unknown token is no error."""
        form = check_form(params, TokenReferenceForm)
        desk.issuance.revoke(desk.issuance.authenticate(form, sender(request)), form)
        return Response(headers=NO_STORE)

    @routes.post(
        "/oauth/introspect",
        summary="Ask what a token stands for (RFC 7662; as a JWT, RFC 9701)",
        responses={
            **_REFUSALS,
            200: {"model": Introspection, "content": {INTROSPECTION_JWT: {"schema": {"type": "string"}}}},
        },
        response_model=None,
        openapi_extra=described(TokenReferenceForm),
    )
    def introspect(request: Request, params: _Form) -> Response:
        """Of the application's own tokens; ``active: false`` is all that is said of any other."""
        form = check_form(params, TokenReferenceForm)
        client = desk.issuance.authenticate(form, sender(request))
        found = desk.issuance.introspect(client, form)
        if INTROSPECTION_JWT in request.headers.get("accept", ""):
            content = signed_introspection(
                found.model_dump(exclude_none=True), config, client_id=client.client_id, now=desk.issuance.now()
            )
            return Response(content, media_type=INTROSPECTION_JWT, headers=NO_STORE)
        body = found.model_dump_json(exclude_none=True)
        return Response(body, media_type="application/json", headers=NO_STORE)


def _add_grants(routes: APIRouter, desk: Desk, authorize: Authorize) -> None:
    @routes.get(
        "/grants/{grant_id}",
        summary="An authorisation of the application's own (Grant Management)",
        responses=_MANAGED,
        response_model_exclude_none=True,
        openapi_extra={"parameters": [_PROOF]},
    )
    def query_grant(request: Request, response: Response, grant_id: _GrantId) -> GrantDocument:
        """What it allows and whether it still does."""
        grant = desk.issuance.managed(authorize(request, "grant_management_query"), grant_id)
        response.headers.update(NO_STORE)
        return GrantDocument(
            grant_id=grant.grant_id,
            status=grant.status,
            authorization_details=to_claims(grant.details),
            created_at=grant.given_at,
            expires_at=grant.expires_at,
            supersedes=grant.supersedes,
        )

    @routes.delete(
        "/grants/{grant_id}",
        summary="Give an authorisation back (Grant Management)",
        status_code=204,
        responses=_MANAGED | _UNRECORDED,
        openapi_extra={"parameters": [_PROOF]},
    )
    def revoke_grant(request: Request, grant_id: _GrantId) -> Response:
        """It ends at once, on every gateway; ending it again changes nothing."""
        grant = desk.issuance.managed(authorize(request, "grant_management_revoke"), grant_id)
        desk.issuance.give_back(grant)
        return Response(status_code=204, headers=NO_STORE)


def _add_documents(routes: APIRouter, config: ConsentConfig, datasets: tuple[str, ...]) -> None:
    document = metadata(config.issuer, datasets=datasets)
    resource = resource_metadata(config.issuer, datasets=datasets)

    @routes.get("/oauth/jwks", summary="The public keys of consent tokens (RFC 7517)")
    def jwks(response: Response) -> JwkSet:
        """Several keys live at once while they rotate: choose by ``kid``."""
        response.headers.update(_PUBLIC)
        return JwkSet.model_validate(config.token_keys.jwks())

    @routes.get("/.well-known/oauth-authorization-server", summary="Authorization server metadata (RFC 8414)")
    def authorization_server_metadata(response: Response) -> Metadata:
        """The endpoints and what they accept."""
        response.headers.update(_PUBLIC)
        return document

    @routes.get("/.well-known/oauth-protected-resource", summary="Protected resource metadata (RFC 9728)")
    def protected_resource_metadata(response: Response) -> ResourceMetadata:
        """Who authorises exchanges, and how tokens are bound."""
        response.headers.update(_PUBLIC)
        return resource


def _never_stored(response: Response, desk: Desk, came: Sender) -> None:
    response.headers.update(NO_STORE)
    if came.proofs:
        response.headers["DPoP-Nonce"] = desk.issuance.nonce()


__all__ = ["CERTIFICATE", "OAuthError", "router"]
