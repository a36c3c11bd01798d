"""Reading the form of an OAuth endpoint: bounded, strict, and refused with RFC 6749's own errors.

FastAPI's form parameters would answer 422 with a shape no OAuth client knows; the form is read here instead and its
schema is given to the contract by :func:`described`.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect

from consent.errors import OAuthError

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_BYTES = 65_536
MAX_PARAMETERS = 32
READ_TIMEOUT = 10.0
"""Seconds in which the whole body must arrive."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION = 8192
PRINTABLE = r"^[\x20-\x7E]+$"
"""Printable ASCII (VSCHAR of RFC 6749 appendix A)."""

Params: TypeAlias = Mapping[str, str]


class ClientForm(BaseModel):
    """What every form of an application carries: its proof of who it is (RFC 7523 section 2.2)."""

    REQUIRED: ClassVar = ()
    """Nothing: an application that shows a certificate sends no assertion (RFC 8705 section 2)."""

    client_assertion_type: Annotated[str, Field(max_length=128, json_schema_extra={"enum": [ASSERTION_TYPE]})] = ""
    client_assertion: Annotated[
        str,
        Field(max_length=MAX_ASSERTION, pattern=PRINTABLE, description="a JWT whose `aud` is the issuer, as a string"),
    ] = ""
    client_id: Annotated[str, Field(max_length=128, description="optional; must agree with the assertion")] = ""


Form = TypeVar("Form", bound=ClientForm)


async def read_params(request: Request) -> Params:
    """The parameters that have a value, each sent once (RFC 6749 section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise OAuthError("invalid_request", f"Content-Type: must be {MEDIA_TYPE}")
    return parse_params(await read_body(request))


def parse_params(body: bytes) -> Params:
    """The parameters of a form. Hostile bytes raise :class:`OAuthError` and nothing else."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise OAuthError("invalid_request", f"the form: at most {MAX_PARAMETERS} parameters, in UTF-8") from None
    params = dict(pairs)
    if len(params) != len(pairs):
        raise OAuthError("invalid_request", "the form: each parameter at most once")
    return {name: value for name, value in params.items() if value}


def check_form(params: Params, form: type[Form]) -> Form:
    """The form, within its declared lengths and characters; what the parameters say is checked by its endpoint."""
    try:
        return form.model_validate(params)
    except ValidationError as error:
        # A declared name: members that the model does not declare are ignored, as RFC 6749 section 3.1 asks.
        name = error.errors(include_url=False, include_input=False)[0]["loc"][0]
        raise OAuthError("invalid_request", f"{name}: not of the form or length that the contract says") from None


def described(form: type[ClientForm]) -> dict[str, Any]:
    """The form as FastAPI's ``openapi_extra``."""
    schema = form.model_json_schema()
    for name, parameter in schema["properties"].items():
        # The empty default says 'absent' to us; RFC 6749 has no empty parameters.
        del parameter["default"]
        if name in schema.get("required", ()):
            parameter["minLength"] = 1
    # Parameters that we do not know are passed over, but they are parameters: strings, each once.
    schema |= {"additionalProperties": {"type": "string"}, "maxProperties": MAX_PARAMETERS}
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}}


async def read_body(request: Request, *, within: float = READ_TIMEOUT) -> bytes:
    """The body, bounded in bytes and in time (seconds)."""
    body = bytearray()
    _check_length(int(length) if (length := request.headers.get("content-length", "")).isdecimal() else 0)
    try:
        async with asyncio.timeout(within):
            async for chunk in request.stream():
                body += chunk
                _check_length(len(body))
    except TimeoutError:
        raise OAuthError("invalid_request", "the form: did not arrive in time", status=408) from None
    except ClientDisconnect:
        raise OAuthError("invalid_request", "the form: did not arrive whole") from None
    return bytes(body)


def _check_length(length: int) -> None:
    if length > MAX_BYTES:
        raise OAuthError("invalid_request", f"the form: at most {MAX_BYTES} bytes")
