"""The endpoints of the authorization server. They read a form, ask the desk and write its answer."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from consent.authorization.forms import Params, check_form, described, read_params
from consent.authorization.metadata import JwkSet, Metadata, metadata
from consent.authorization.par import PushedRequestForm, PushedResponse
from consent.authorization.token import TokenForm, TokenResponse
from consent.config import ConsentConfig
from consent.desk import Desk
from consent.details import to_claims
from consent.errors import NO_STORE, ErrorCode
from openapi.problem import MEDIA_TYPE


class OAuthErrorBody(BaseModel):
    """RFC 6749 section 5.2. ``error_description`` names the check that failed and what to do."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorCode
    error_description: str


_Form: TypeAlias = Annotated[Params, Depends(read_params)]
_PUBLIC = {"Cache-Control": "public, max-age=300"}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthErrorBody, "description": "the request is refused"},
    401: {"model": OAuthErrorBody, "description": "the application did not prove who it is"},
    408: {"model": OAuthErrorBody, "description": "the form did not arrive in time"},
}
_UNRECORDED: dict[int | str, dict[str, Any]] = {
    503: {"description": "the log cannot be written: nothing was done", "content": {MEDIA_TYPE: {}}},
}


def router(config: ConsentConfig, *, desk: Desk) -> APIRouter:
    """PAR, token, keys and metadata; the authorization endpoint itself is a page."""
    routes = APIRouter(tags=["oauth"])
    _add_endpoints(routes, config, desk)
    _add_documents(routes, config)
    return routes


def _add_endpoints(routes: APIRouter, config: ConsentConfig, desk: Desk) -> None:
    @routes.post(
        "/oauth/par",
        summary="Push an authorization request (RFC 9126)",
        status_code=201,
        responses=_REFUSALS,
        openapi_extra=described(PushedRequestForm),
    )
    def push_authorization_request(params: _Form, response: Response) -> PushedResponse:
        """Say what is asked of the citizen, then send her browser to the authorization endpoint."""
        form = check_form(params, PushedRequestForm)
        client = desk.authenticate(form)
        request_uri = desk.push(client, form, params)
        response.headers.update(NO_STORE)
        return PushedResponse(request_uri=request_uri, expires_in=config.request_lifetime)

    @routes.post(
        "/oauth/token",
        summary="Exchange an authorization code for a consent token (RFC 6749)",
        responses=_REFUSALS | _UNRECORDED,
        openapi_extra=described(TokenForm),
    )
    def issue_token(params: _Form, response: Response) -> TokenResponse:
        """A code serves once, within a minute; using it again withdraws the authorisation."""
        form = check_form(params, TokenForm)
        issued = desk.redeem(desk.authenticate(form), form)
        response.headers.update(NO_STORE)
        return TokenResponse(
            access_token=issued.token,
            token_type="Bearer",  # noqa: S106  # the name of a scheme
            expires_in=issued.expires_in,
            authorization_details=to_claims(issued.grant.details),
            grant_id=issued.grant.grant_id,
        )


def _add_documents(routes: APIRouter, config: ConsentConfig) -> None:
    keys = JwkSet.model_validate(config.token_keys.jwks())
    document = metadata(config.issuer)

    @routes.get("/oauth/jwks", summary="The public keys of consent tokens (RFC 7517)")
    def jwks(response: Response) -> JwkSet:
        """Several keys live at once while they rotate: choose by ``kid``."""
        response.headers.update(_PUBLIC)
        return keys

    @routes.get("/.well-known/oauth-authorization-server", summary="Authorization server metadata (RFC 8414)")
    def authorization_server_metadata(response: Response) -> Metadata:
        """The endpoints and what they accept."""
        response.headers.update(_PUBLIC)
        return document
