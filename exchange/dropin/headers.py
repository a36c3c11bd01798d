"""The headers of drop-in answers: those that applications written for the State's APIs read.

``RateLimit-*`` as API Particulier and API Entreprise send them: ``RateLimit-Reset`` is a Unix time, not a number of
seconds. ``Retry-After`` is in seconds (RFC 9110 section 10.2.3).
"""

from binascii import b2a_base64
from collections.abc import Iterable

from audit.model import Receipt
from exchange.asgi import Header
from exchange.dropin.limits import Usage
from exchange.errors import challenge

JSON = b"application/json"
JSON_API = b"application/vnd.api+json"


def content_type(headers: Iterable[Header]) -> bytes:
    """``application/vnd.api+json`` where ``Accept`` names it, ``application/json`` otherwise."""
    accepted = b",".join(value for name, value in headers if name == b"accept")
    offered = {part.partition(b";")[0].strip().lower() for part in accepted.split(b",")}
    return JSON_API if JSON_API in offered else JSON


def page_headers(requested: Iterable[Header]) -> tuple[Header, ...]:
    """Of an answer without data about anybody."""
    return (
        (b"content-type", content_type(requested)),
        (b"cache-control", b"no-store"),
        (b"x-response-cached", b"false"),
        (b"x-cache-expires-in", b""),
    )


def answer_headers(requested: Iterable[Header], *, usage: Usage, cached: bool, receipt: Receipt) -> tuple[Header, ...]:
    """Of an answer with data. Nobody on the way keeps it (``no-store``). ``cached``: whether it was kept here.

    ``Accord-Entry`` and ``Accord-Receipt`` are the access's entry and its C2SP tlog-proof, as byte sequences (RFC 8941
    section 3.3.5): the State's bodies have no place for them.
    """
    return (
        (b"content-type", content_type(requested)),
        (b"cache-control", b"no-store"),
        (b"x-response-cached", b"true" if cached else b"false"),
        (b"x-cache-expires-in", b""),
        (b"accord-entry", _byte_sequence(receipt.entry)),
        (b"accord-receipt", _byte_sequence(receipt.proof.encode())),
        *_usage(usage),
    )


def _byte_sequence(value: bytes) -> bytes:
    return b":%b:" % b2a_base64(value, newline=False)


def refusal_headers(
    requested: Iterable[Header], *, status: int, slug: str, retry_in: int | None, usage: Usage | None
) -> tuple[Header, ...]:
    """Of an answer with errors. ``slug``: of the problem, for the challenge (RFC 9110 section 15.5.2)."""
    headers: list[Header] = [(b"content-type", content_type(requested)), (b"cache-control", b"no-store")]
    if status == 401:  # noqa: PLR2004  # RFC 9110 section 15.5.2
        headers.append((b"www-authenticate", challenge(slug)))
    if status == 405:  # noqa: PLR2004  # RFC 9110 section 15.5.6
        headers.append((b"allow", b"GET"))
    if retry_in is not None:
        headers.append((b"retry-after", b"%d" % retry_in))
    return (*headers, *_usage(usage))


def _usage(usage: Usage | None) -> tuple[Header, ...]:
    if usage is None:
        return ()
    return (
        (b"ratelimit-limit", b"%d" % usage.limit),
        (b"ratelimit-remaining", b"%d" % usage.remaining),
        (b"ratelimit-reset", b"%d" % usage.reset),
    )
