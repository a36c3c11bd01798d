"""From an exception to a problem document (RFC 9457): the one place that knows HTTP statuses.

OAuth endpoints and pages have mappers of their own, in ``consent``.
"""

import re
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from exchange.asgi import Header, Reply
from exchange.identify import language
from exchange.recipient import DPOP_CHALLENGE
from openapi.problem import MEDIA_TYPE, AccordError, Language, problem

_INVALID_TOKEN = "invalid_token"  # noqa: S105  # an error code of RFC 6750
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,60}\Z")


class ProblemWriter:
    """Writes problems under one base URL, where each has its page."""

    def __init__(self, base: str) -> None:
        self._base = base

    def reply(self, error: AccordError, *, request_id: str, language: Language = "en") -> Reply:
        """The answer for ``error``; ``instance`` is the id under which it is in the log."""
        row = problem(error.slug)
        body = row.encode(error.facts, base=self._base, instance=request_id, language=language)
        headers: list[Header] = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-language", language.encode()),
            (b"cache-control", b"no-store"),
        ]
        if row.status == 401:  # noqa: PLR2004  # RFC 6750 section 3
            headers.append((b"www-authenticate", challenge(error.slug)))
        if row.status == 405:  # noqa: PLR2004  # RFC 9110 section 15.5.6
            headers.append((b"allow", str(error.facts.get("allowed", "GET")).encode()))
        if isinstance(retry_in := error.facts.get("retry_in"), int):
            headers.append((b"retry-after", b"%d" % retry_in))
        return Reply(row.status, tuple(headers), body)


def challenge(slug: str) -> bytes:
    """The value of ``WWW-Authenticate`` for a refusal with status 401 (RFC 6750 section 3, RFC 9449 section 7.1)."""
    if slug in ("token_missing", "application_token_missing"):
        # RFC 6750 section 3.1: no error code when no authentication was tried.
        return f'{DPOP_CHALLENGE}, Bearer realm="accord"'.encode()
    if slug.startswith("dpop_"):
        error = "use_dpop_nonce" if slug == "dpop_nonce_required" else "invalid_dpop_proof"
        return f'{DPOP_CHALLENGE}, error="{error}", error_description="{slug}"'.encode()
    return f'Bearer realm="accord", error="{_INVALID_TOKEN}", error_description="{slug}"'.encode()


def install(app: FastAPI, problems: ProblemWriter) -> None:
    """Answer the framework's own errors as problems too."""

    def respond(request: Request, error: AccordError) -> Response:
        reply = problems.reply(error, request_id=str(uuid4()), language=language(request.scope["headers"]))
        return Response(reply.body, reply.status, {name.decode(): value.decode() for name, value in reply.headers})

    @app.exception_handler(AccordError)
    def _ours(request: Request, error: AccordError) -> Response:
        return respond(request, error)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        return respond(request, _first_fault(error))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:  # noqa: PLR2004  # what the router raises for a method it does not serve
            return respond(request, AccordError("method_not_allowed", allowed=_allowed(app, request)))
        return respond(request, _from_http(error))


def _allowed(app: FastAPI, request: Request) -> str:
    """Every method that the path serves: the router names those of its first route alone."""
    served = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
    return ", ".join(served) or "GET"


def _first_fault(error: RequestValidationError) -> AccordError:
    """The first fault by its field and pydantic's words for what was expected; never the value."""
    first = error.errors()[0]
    # The last element of 'loc' may be a name the caller invented: only plain names are said back.
    names = [str(part) for part in first["loc"][1:]]
    field = ".".join(names) if names and all(_FIELD_NAME.match(name) for name in names) else "request"
    return AccordError("request_malformed", field=field, expected=str(first["type"]).replace("_", " "))


def _from_http(error: HTTPException) -> AccordError:
    if error.status_code == 404:  # noqa: PLR2004  # what the router raises for a path it does not know
        return AccordError("not_found")
    return AccordError("request_malformed", field="request", expected="a well-formed HTTP request")
