"""Reading a posted form with a bound: the sandbox's servers take no more than :data:`LARGEST_FORM` bytes."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from fastapi import Request

LARGEST_FORM = 16_384
MOST_FIELDS = 50


class BadForm(Exception):
    """Not a form these servers read: wrong type, too large or undecodable."""


async def read_form(request: Request) -> Sequence[tuple[str, str]]:
    """Fields of an ``application/x-www-form-urlencoded`` body, in order. Raises :class:`BadForm`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm("expected application/x-www-form-urlencoded")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise BadForm(f"expected at most {LARGEST_FORM} bytes")
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadForm("expected UTF-8 and at most a few fields") from None
