"""The token endpoint (RFC 6749 section 4.1.3): an authorization code for a consent token. Pure checks.

A code serves its own application once, within a minute. A second use means that somebody else holds it: the
authorisation is withdrawn (RFC 6749 section 4.1.2), and with it every token made from it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from consent.authorization import pkce
from consent.authorization.forms import PRINTABLE, ClientForm
from consent.authorization.references import MAX_LENGTH
from consent.errors import OAuthError

CODE = "authorization_code"
REFRESH = "refresh_token"
CLIENT = "client_credentials"
GRANT_TYPES = (CODE, REFRESH, CLIENT)
SCOPES = ("grant_management_query", "grant_management_revoke", "events_poll")
"""What an application may be given for itself (Grant Management for OAuth 2.0, section 6.1; polling of events)."""

_NEEDED = {CODE: ("code", "redirect_uri", "code_verifier"), REFRESH: ("refresh_token",), CLIENT: ("scope",)}


class TokenForm(ClientForm):
    """The form of a token request; which parameters are needed depends on ``grant_type``."""

    model_config = ConfigDict(json_schema_extra={"required": ["grant_type"]})

    grant_type: Annotated[str, Field(max_length=128, json_schema_extra={"enum": [*GRANT_TYPES]})] = ""
    code: Annotated[str, Field(max_length=MAX_LENGTH)] = ""
    redirect_uri: Annotated[
        str, Field(max_length=2048, pattern=PRINTABLE, description="the one of the pushed request")
    ] = ""
    code_verifier: Annotated[str, Field(max_length=128, description="RFC 7636")] = ""
    refresh_token: Annotated[str, Field(max_length=MAX_LENGTH, pattern=PRINTABLE)] = ""
    scope: Annotated[
        str, Field(max_length=256, pattern=PRINTABLE, description=f"of client_credentials: {', '.join(SCOPES)}")
    ] = ""


class TokenResponse(BaseModel):
    """A consent token and what it stands for, which may be less than was asked (RFC 9396 section 7)."""

    model_config = ConfigDict(extra="forbid")

    access_token: Annotated[str, Field(description="a JWT (RFC 9068) for the exchange's endpoints")]
    token_type: Literal["Bearer", "DPoP"]
    expires_in: Annotated[int, Field(ge=1, description="seconds")]
    refresh_token: Annotated[
        str | None, Field(description="of an authorisation that serves more than once; good while it lives")
    ] = None
    authorization_details: list[dict[str, Any]] | None = None  # objects of RFC 9396
    grant_id: Annotated[str | None, Field(description="names the authorisation")] = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code as it is stored. ``key`` is its hash; ``used_at`` is set by its first use."""

    key: str
    grant_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    expires_at: int
    used_at: int | None = None
    dpop_jkt: str | None = None
    """The key that must prove itself at the token endpoint (RFC 9449 section 10)."""


def check_form_complete(form: TokenForm) -> None:
    """The parameters of the grant type. Raises :class:`OAuthError`."""
    if form.grant_type not in _NEEDED:
        raise OAuthError("unsupported_grant_type", f"grant_type: must be {', '.join(GRANT_TYPES)}")
    for name in _NEEDED[form.grant_type]:
        if not getattr(form, name):
            raise OAuthError("invalid_request", f"{name}: missing")


def check_scope(form: TokenForm) -> str:
    """The scopes of an application's own token, in order. Raises :class:`OAuthError` for one that does not exist."""
    asked = form.scope.split()
    if not asked or any(scope not in SCOPES for scope in asked):
        raise OAuthError("invalid_scope", f"scope: of {', '.join(SCOPES)}")
    return " ".join(sorted(set(asked)))


def check_code(code: AuthorizationCode, form: TokenForm, *, jkt: str | None, now: int) -> None:
    """Whether an unused code of this application may be redeemed. Raises ``invalid_grant``, naming the check."""
    if code.dpop_jkt is not None and jkt != code.dpop_jkt:
        raise invalid_grant("dpop_jkt: the proof must be made with the key that the pushed request named")
    if code.expires_at <= now:
        raise invalid_grant("code: expired; send the citizen to the authorization endpoint again")
    if form.redirect_uri != code.redirect_uri:
        raise invalid_grant("redirect_uri: must be the one of the pushed request")
    if not pkce.proves(form.code_verifier, code.code_challenge):
        raise invalid_grant("code_verifier: does not match the code_challenge")


def invalid_grant(description: str) -> OAuthError:
    """The code, or the authorisation behind it, is no good."""
    return OAuthError("invalid_grant", description)
