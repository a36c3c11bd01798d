"""What is asked about a company, bounded and parsed. Pure.

A company's number, the context and the object go to the holder and to nobody else: the log has keyed hashes of them,
sealed, which tell nothing to whoever has not the key.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar
from urllib.parse import parse_qsl

from exchange.asgi import Header
from exchange.credentials import Credentials, CredentialsMalformed, read_credentials
from openapi.fields import SIREN_DIGITS, InvalidValue, Siren, Siret, siren, siret
from openapi.problem import AccordError
from providers.model import Manifest

MAX_QUERY_BYTES = 8_192
MAX_WORDS = 250
"""Characters of ``context`` and of ``object``, as of ``delegation_id``."""

Number = TypeVar("Number", Siret, Siren)

_COMMON = ("siret", "siren", "context", "object", "recipient", "delegation_id")


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a company. ``repr`` shows nothing."""

    company: Siret | Siren
    context: str
    object: str
    recipient: Siret | None = None
    """None: the application's own organisation."""
    delegation_id: str = ""
    fields: tuple[str, ...] = ()
    """Empty: every field of the habilitation."""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Question(...)"

    @property
    def siren(self) -> str:
        """The company's own number, whichever was given."""
        return self.company[:SIREN_DIGITS]


def credentials(headers: Iterable[Header]) -> Credentials:
    """Raises ``application_token_missing`` where there is none, or none that can be read."""
    try:
        given = read_credentials(headers)
    except CredentialsMalformed:
        given = Credentials()
    if not given.token:
        raise AccordError("application_token_missing")
    return given


def question_to_dataset(query: bytes, manifest: Manifest) -> Question:
    """The question to one dataset. Raises ``AccordError``: ``request_malformed`` naming what, ``field_unknown``."""
    given = _pairs(query, {*_COMMON, "fields", *manifest.parameters})
    takes_siret = "{siret}" in manifest.path
    return Question(
        company=_siret(given) if takes_siret else _company(given),
        context=_words(given, "context"),
        object=_words(given, "object"),
        recipient=_recipient(given),
        delegation_id=_words(given, "delegation_id") if "delegation_id" in given else "",
        fields=_fields(given, manifest),
        parameters=dict(_parameters(given, manifest)),
    )


def question_to_bundle(query: bytes) -> Question:
    """The question to every dataset of a bundle: a SIRET is enough. Raises ``request_malformed`` naming what."""
    given = _pairs(query, set(_COMMON) - {"siren"})
    return Question(
        company=_siret(given),
        context=_words(given, "context"),
        object=_words(given, "object"),
        recipient=_recipient(given),
        delegation_id=_words(given, "delegation_id") if "delegation_id" in given else "",
    )


def sealed(company: Siret | Siren, context: str, object_: str, *, key: bytes) -> dict[str, str]:
    """A company, the context and the object for the log. The same company has one pseudonym, whichever its SIRET."""
    return {
        "company": _keyed(key, "company", company[:SIREN_DIGITS]),
        "context": _keyed(key, "context", context),
        "object": _keyed(key, "object", object_),
    }


def _keyed(key: bytes, use: str, content: str) -> str:
    digest = hmac.digest(key, f"accord {use} v1\0{content}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _pairs(query: bytes, known: set[str]) -> Mapping[str, str]:
    if len(query) > MAX_QUERY_BYTES:
        _refuse("query", f"at most {MAX_QUERY_BYTES} bytes")
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=len(known) + 1,
            errors="strict",
        )
    except ValueError:
        _refuse("query", "name=value pairs, percent-encoded UTF-8")
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not known.issuperset(names):
        _refuse("query", f"each once, of {', '.join(sorted(known))}")
    return dict(pairs)


def _company(given: Mapping[str, str]) -> Siret | Siren:
    if ("siret" in given) == ("siren" in given):
        _refuse("siret", "the company's SIRET, or its SIREN as 'siren': one of them")
    return _checked(siren, given, "siren") if "siren" in given else _checked(siret, given, "siret")


def _siret(given: Mapping[str, str]) -> Siret:
    if "siren" in given:
        _refuse("siret", "the SIRET of an establishment, for a SIREN does not say which")
    return _checked(siret, given, "siret")


def _recipient(given: Mapping[str, str]) -> Siret | None:
    return _checked(siret, given, "recipient") if "recipient" in given else None


def _checked(check: Callable[..., Number], given: Mapping[str, str], name: str) -> Number:
    try:
        return check(given.get(name), field=name)
    except InvalidValue as error:
        _refuse(error.field, error.expected)


def _words(given: Mapping[str, str], name: str) -> str:
    text = given.get(name, "").strip()
    if not 0 < len(text) <= MAX_WORDS or not text.isprintable():
        _refuse(name, f"1 to {MAX_WORDS} printable characters; it is required")
    return text


def _fields(given: Mapping[str, str], manifest: Manifest) -> tuple[str, ...]:
    if "fields" not in given:
        return ()
    names = tuple(dict.fromkeys(given["fields"].split(",")))
    if not all(name in manifest.fields for name in names):
        raise AccordError("field_unknown")
    return names


def _parameters(given: Mapping[str, str], manifest: Manifest) -> Iterable[tuple[str, str]]:
    for name, one in manifest.parameters.items():
        value = given.get(name)
        if value is None and not one.required:
            continue
        if value is None or not one.pattern.fullmatch(value):
            _refuse(name, f"{one.label['en']} ({one.pattern.pattern})")
        yield name, value


def _refuse(field: str, expected: str) -> NoReturn:
    raise AccordError("request_malformed", field=field, expected=expected)
