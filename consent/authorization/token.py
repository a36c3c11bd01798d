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

GRANT_TYPE = "authorization_code"


class TokenForm(ClientForm):
    """The form of a token request."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": [*ClientForm.REQUIRED, "grant_type", "code", "redirect_uri", "code_verifier"],
        }
    )

    grant_type: Annotated[str, Field(max_length=128, json_schema_extra={"enum": [GRANT_TYPE]})] = ""
    code: Annotated[str, Field(max_length=MAX_LENGTH)] = ""
    redirect_uri: Annotated[
        str, Field(max_length=2048, pattern=PRINTABLE, description="the one of the pushed request")
    ] = ""
    code_verifier: Annotated[str, Field(max_length=128, description="RFC 7636")] = ""


class TokenResponse(BaseModel):
    """A consent token and what it stands for, which may be less than was asked (RFC 9396 section 7)."""

    model_config = ConfigDict(extra="forbid")

    access_token: Annotated[str, Field(description="a JWT (RFC 9068) for the exchange's endpoints")]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(ge=1, description="seconds")]
    authorization_details: list[dict[str, Any]]  # objects of RFC 9396
    grant_id: Annotated[str, Field(description="names the authorisation")]


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


def check_form_complete(form: TokenForm) -> None:
    """The parameters of the one grant type. Raises :class:`OAuthError`."""
    if form.grant_type != GRANT_TYPE:
        raise OAuthError("unsupported_grant_type", f"grant_type: must be {GRANT_TYPE}")
    for name in ("code", "redirect_uri", "code_verifier"):
        if not getattr(form, name):
            raise OAuthError("invalid_request", f"{name}: missing")


def check_code(code: AuthorizationCode, form: TokenForm, *, now: int) -> None:
    """Whether an unused code of this application may be redeemed. Raises ``invalid_grant``, naming the check."""
    if code.expires_at <= now:
        raise invalid_grant("code: expired; send the citizen to the authorization endpoint again")
    if form.redirect_uri != code.redirect_uri:
        raise invalid_grant("redirect_uri: must be the one of the pushed request")
    if not pkce.proves(form.code_verifier, code.code_challenge):
        raise invalid_grant("code_verifier: does not match the code_challenge")


def invalid_grant(description: str) -> OAuthError:
    """The code, or the authorisation behind it, is no good."""
    return OAuthError("invalid_grant", description)
