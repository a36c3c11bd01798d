"""What a consent exchange asks besides its token: fields, derived answers, the dataset's own parameters.

``GET`` takes them from the query, ``POST`` from a JSON object ``{"fields": [...], "parameters": {...}}``. What says
something of a person (an account's name, a school) is taken from a body alone: URLs end up in logs that are not ours.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson

from exchange.asgi import Receive
from exchange.model import Refusal
from openapi.rules import RULE_NAME
from providers.model import Manifest, Parameter

MAX_QUERY_BYTES = 4_096
MAX_BODY_BYTES = 16_384
MAX_FIELDS = 100
MAX_VALUE = 1_000
READ_SECONDS = 5.0

_MEMBERS = frozenset({"fields", "parameters"})


@dataclass(frozen=True, slots=True)
class Question:
    """``derived``: what may be names of derived answers; the token will tell. ``repr`` shows nothing."""

    fields: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Question(...)"


_EVERYTHING = Question()
"""All that was consented: what most exchanges ask."""


async def read_body(receive: Receive) -> bytes | Refusal:
    """The body of a request, bounded in bytes and in time."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return _malformed("body", "the whole of it")
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    return Refusal("request_too_large", {"limit": MAX_BODY_BYTES})
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return _malformed("body", f"the whole of it within {READ_SECONDS:.0f} seconds")


def question(query: bytes, body: bytes | Refusal | None, manifest: Manifest) -> Question | Refusal:
    """What is asked. ``body``: None for a ``GET``."""
    if body is None and not query and not manifest.parameters:
        return _EVERYTHING
    return body if isinstance(body, Refusal) else _read(query, body, manifest)


def _read(query: bytes, body: bytes | None, manifest: Manifest) -> Question | Refusal:
    given = _of_query(query) if body is None else _of_body(query, body)
    if isinstance(given, Refusal):
        return given
    fields, parameters = given
    for name in parameters:
        if name not in manifest.parameters:
            return _malformed("query" if body is None else "parameters", _known(manifest))
        if body is None and manifest.parameters[name].personal:
            return _malformed(name, "in the 'parameters' of a POST's JSON body, never in a URL")
    for one in manifest.parameters.values():
        if (refused := _check(one, parameters.get(one.name))) is not None:
            return refused
    return _named(fields, parameters, manifest)


def _of_query(query: bytes) -> tuple[tuple[str, ...], Mapping[str, str]] | Refusal:
    if not query:
        return (), {}
    if len(query) > MAX_QUERY_BYTES:
        return _malformed("query", f"at most {MAX_QUERY_BYTES} bytes")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return _malformed("query", "name=value pairs, percent-encoded")
    given = dict(pairs)
    if len(given) < len(pairs):
        return _malformed("query", "each parameter once")
    fields = given.pop("fields", None)
    return (() if fields is None else tuple(fields.split(","))), given


def _of_body(query: bytes, body: bytes) -> tuple[tuple[str, ...], Mapping[str, str]] | Refusal:
    if query:
        return _malformed("query", "nothing in the URL of a POST: its body says everything")
    try:
        given = orjson.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not given.keys() <= _MEMBERS:
        return _malformed("body", "a JSON object with 'fields', 'parameters' or both")
    fields, parameters = given.get("fields", []), given.get("parameters", {})
    if not isinstance(fields, list) or not all(isinstance(one, str) for one in fields) or len(fields) > MAX_FIELDS:
        return _malformed("fields", f"a list of at most {MAX_FIELDS} names")
    if not isinstance(parameters, dict) or not all(isinstance(one, str) for one in parameters.values()):
        return _malformed("parameters", "an object of texts")
    return tuple(fields), parameters


def _check(one: Parameter, value: str | None) -> Refusal | None:
    if value is None and not one.required:
        return None
    if value is None or len(value) > MAX_VALUE or not one.pattern.fullmatch(value):
        return _malformed(one.name, f"{one.label['en']} ({one.pattern.pattern})")
    return None


def _named(fields: tuple[str, ...], parameters: Mapping[str, str], manifest: Manifest) -> Question | Refusal:
    names = tuple(dict.fromkeys(fields))
    derived = tuple(name for name in names if name not in manifest.fields)
    if not all(RULE_NAME.match(name) for name in derived):
        return Refusal("field_unknown", {})
    return Question(tuple(name for name in names if name in manifest.fields), derived, parameters)


def _known(manifest: Manifest) -> str:
    names = [f"'{name}'" for name in ("fields", *manifest.parameters)]
    return f"of {', '.join(names)} alone, each once"


def _malformed(field: str, expected: str) -> Refusal:
    return Refusal("request_malformed", {"field": field, "expected": expected})
