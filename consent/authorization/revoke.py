"""Token revocation (RFC 7009) and introspection (RFC 7662): what both read. Pure.

Revoking any token of a grant gives the whole authorisation back: section 2.1 leaves it to the server, and a citizen is
never left with an authorisation that its application no longer wants.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from consent.authorization.forms import PRINTABLE, ClientForm
from consent.errors import OAuthError

MAX_TOKEN = 16_384


class TokenReferenceForm(ClientForm):
    """The form of a revocation or an introspection."""

    model_config = ConfigDict(json_schema_extra={"required": ["token"]})

    token: Annotated[
        str, Field(max_length=MAX_TOKEN, pattern=PRINTABLE, description="a refresh token or a consent token")
    ] = ""
    token_type_hint: Annotated[str, Field(max_length=64, description="read, and not relied upon")] = ""


class Introspection(BaseModel):
    """What is said of a token (RFC 7662 section 2.2): nothing more than ``active`` when it is not."""

    model_config = ConfigDict(extra="forbid")

    active: bool
    iss: str | None = None
    aud: str | None = None
    sub: str | None = None
    client_id: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    grant_id: str | None = None
    acr: str | None = None
    authorization_details: list[dict[str, object]] | None = None
    cnf: dict[str, str] | None = None


INACTIVE = Introspection(active=False)


def check_reference(form: TokenReferenceForm) -> None:
    """Raises :class:`OAuthError` without a token."""
    if not form.token:
        raise OAuthError("invalid_request", "token: missing")
