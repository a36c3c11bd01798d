"""What OAuth endpoints answer when they refuse: RFC 6749 section 5.2, each error naming the check that failed."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from openapi.problem import problem

ErrorCode: TypeAlias = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_authorization_details",
    "unsupported_grant_type",
    "unsupported_response_type",
    "request_not_supported",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_token",
    "insufficient_scope",
    "invalid_grant_id",
]
"""RFC 6749, RFC 6750, RFC 9396 section 5, RFC 9449 sections 5 and 8, OpenID Connect Core section 3.1.2.6, and Grant
Management section 5.
"""

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """A refusal of an OAuth endpoint.

    ``description`` is for the developer of the application: which check failed and what to do. It is public, in
    ASCII without double quote or backslash (RFC 6749 section 5.2), and never repeats what was sent.
    """

    def __init__(
        self, code: ErrorCode, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.status = status
        self.headers = dict(headers or {})


def invalid_client(description: str) -> OAuthError:
    """The application did not prove who it is: 401."""
    return OAuthError("invalid_client", description, status=401)


def said(slug: str, facts: dict[str, str | int | tuple[str, ...]]) -> str:
    """A registered problem in a developer's words: its slug and what to do."""
    detail = problem(slug).document(facts, base="")["detail"]
    return f"{slug}: {detail}"


def install(app: FastAPI) -> None:
    """Answer :class:`OAuthError` as RFC 6749 says."""

    @app.exception_handler(OAuthError)
    def _refuse(_request: Request, error: OAuthError) -> JSONResponse:
        body = {"error": error.code, "error_description": error.description}
        return JSONResponse(body, status_code=error.status, headers={**NO_STORE, **error.headers})
