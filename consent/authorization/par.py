"""Pushed authorization requests (RFC 9126): what an application asks for, checked before a citizen is involved. Pure.

There is no other way to ask: the authorization endpoint takes a ``request_uri`` and nothing else, so nothing in the
browser's address bar can be altered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from consent.authorization import pkce
from consent.authorization.forms import PRINTABLE, ClientForm
from consent.details import MAX_LENGTH, parse_details
from consent.dpop import is_thumbprint
from consent.errors import OAuthError
from consent.model import Client, Detail
from consent.ports import Catalogue

MAX_STATE = 512
ACTIONS = ("create", "replace", "merge")
"""Grant Management for OAuth 2.0, section 5.1."""

_REFUSED = {
    "request": OAuthError("request_not_supported", "request: push the parameters themselves"),
    "request_uri": OAuthError("invalid_request", "request_uri: not allowed in a pushed request (RFC 9126 section 2.1)"),
    "scope": OAuthError("invalid_scope", "scope: there are none; say what you ask for in authorization_details"),
}


class PushedRequestForm(ClientForm):
    """The form of a pushed authorization request."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": [
                "response_type",
                "redirect_uri",
                "code_challenge",
                "code_challenge_method",
                "authorization_details",
            ]
        }
    )

    response_type: Annotated[str, Field(max_length=64, json_schema_extra={"enum": ["code"]})] = ""
    redirect_uri: Annotated[
        str, Field(max_length=2048, pattern=PRINTABLE, description="one of those registered, exactly")
    ] = ""
    code_challenge: Annotated[str, Field(max_length=128, description="RFC 7636, made with S256")] = ""
    code_challenge_method: Annotated[str, Field(max_length=16, json_schema_extra={"enum": [pkce.METHOD]})] = ""
    state: Annotated[str, Field(max_length=MAX_STATE, pattern=PRINTABLE, description="comes back unchanged")] = ""
    authorization_details: Annotated[
        str, Field(max_length=MAX_LENGTH, description="JSON, RFC 9396: an array with one object per dataset")
    ] = ""
    response_mode: Annotated[str, Field(max_length=64, json_schema_extra={"enum": ["query"]})] = ""
    dpop_jkt: Annotated[str, Field(max_length=43, description="thumbprint of the key the code is bound to")] = ""
    grant_management_action: Annotated[str, Field(max_length=16, json_schema_extra={"enum": [*ACTIONS]})] = ""
    grant_id: Annotated[str, Field(max_length=64, pattern=PRINTABLE, description="of replace and merge")] = ""


class PushedResponse(BaseModel):
    """Where to send the citizen's browser: the authorization endpoint with this ``request_uri``."""

    model_config = ConfigDict(extra="forbid")

    request_uri: str
    expires_in: Annotated[int, Field(ge=1, description="seconds in which the citizen must arrive")]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What an application asks for."""

    details: tuple[Detail, ...]
    redirect_uri: str
    state: str | None
    code_challenge: str
    dpop_jkt: str | None = None
    supersedes: str | None = None
    """The grant that will be replaced."""
    merges: bool = False
    """Whether what it allowed is added to what is asked."""


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A request as it waits for the citizen. ``key`` is the hash of its ``request_uri``."""

    key: str
    client_id: str
    request: AuthorizationRequest
    expires_at: int


def check_request(
    form: PushedRequestForm,
    params: Mapping[str, str],
    *,
    client: Client,
    catalogue: Catalogue,
    jkt: str | None,
    now: int,
) -> AuthorizationRequest:
    """The request of an authenticated client. Raises :class:`OAuthError` naming the first parameter that fails.

    ``jkt``: the key that a DPoP proof sent with it proved (RFC 9449 section 10.1).
    """
    for name in params.keys() & _REFUSED.keys():
        refused = _REFUSED[name]
        raise OAuthError(refused.code, refused.description)
    _check_response(form)
    _check_redirect(form.redirect_uri, client)
    _check_challenge(form)
    _check_action(form)
    return AuthorizationRequest(
        details=parse_details(form.authorization_details, client=client, catalogue=catalogue, now=now),
        redirect_uri=form.redirect_uri,
        state=form.state or None,
        code_challenge=form.code_challenge,
        dpop_jkt=_bound_key(form, jkt),
        supersedes=form.grant_id or None,
        merges=form.grant_management_action == "merge",
    )


def _check_response(form: PushedRequestForm) -> None:
    if form.response_type != "code":
        raise OAuthError("unsupported_response_type", "response_type: must be code")
    if form.response_mode not in ("", "query"):
        raise OAuthError("invalid_request", "response_mode: must be query, or absent")


def _check_redirect(redirect_uri: str, client: Client) -> None:
    # RFC 9700 section 4.1.3: compared as strings, without normalising anything.
    if redirect_uri not in client.redirect_uris:
        raise OAuthError("invalid_request", "redirect_uri: must be one of those registered, character for character")


def _check_challenge(form: PushedRequestForm) -> None:
    if form.code_challenge_method != pkce.METHOD:
        raise OAuthError("invalid_request", f"code_challenge_method: must be {pkce.METHOD}")
    if not pkce.is_challenge(form.code_challenge):
        raise OAuthError("invalid_request", "code_challenge: a SHA-256 in base64url, 43 characters")


def _check_action(form: PushedRequestForm) -> None:
    if form.grant_management_action not in ("", *ACTIONS):
        raise OAuthError("invalid_request", f"grant_management_action: must be {', '.join(ACTIONS)}")
    if bool(form.grant_id) != (form.grant_management_action in ("replace", "merge")):
        raise OAuthError("invalid_request", "grant_id: required by replace and merge, refused otherwise")


def _bound_key(form: PushedRequestForm, jkt: str | None) -> str | None:
    if form.dpop_jkt and not is_thumbprint(form.dpop_jkt):
        raise OAuthError("invalid_request", "dpop_jkt: the RFC 7638 thumbprint of a key, 43 characters")
    if form.dpop_jkt and jkt is not None and form.dpop_jkt != jkt:
        raise OAuthError("invalid_dpop_proof", "dpop_jkt: not the key that made the proof")
    return form.dpop_jkt or jkt
