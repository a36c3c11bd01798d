"""Step 1 of an exchange: bound and parse the request. Pure; raises nothing.

Only names that the catalogue knows are kept, so that nothing a caller typed reaches the log; and, apart from them,
names of the form of a derived answer's.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl

from exchange.asgi import Header, Scope
from exchange.consent_token import MAX_TOKEN_BYTES
from exchange.model import Asked, Refusal
from openapi.problem import Language
from openapi.rules import RULE_NAME
from providers.registry import Dataset, Datasets

PATH = "/v1/data/"
MAX_QUERY_BYTES = 4_096
MAX_FIELDS = 100

_BEARER, _DPOP = b"bearer", b"dpop"
_SCHEMES = (_BEARER, _DPOP)


def identify(scope: Scope, request_id: str, datasets: Datasets) -> Asked:
    """What is asked, with ``fault`` set when the request itself is wrong."""
    dataset = datasets.get(scope["path"].removeprefix(PATH))
    if dataset is None:
        return Asked(request_id, fault=Refusal("dataset_unknown", {}))
    name = dataset.manifest.dataset
    authorizations, proofs = _credentials(scope["headers"])
    token = _token(authorizations)
    if isinstance(token, Refusal):
        return Asked(request_id, name, fault=token)
    names = _names(scope["query_string"], dataset)
    scheme, text = token
    if isinstance(names, Refusal):
        return Asked(request_id, name, token=text, fault=names)
    fields, derived = names
    return Asked(request_id, name, fields, text, scheme == _DPOP, proofs, derived=derived)


def language(headers: Iterable[Header]) -> Language:
    """The language the caller reads first: French or, failing that, English."""
    for name, value in headers:
        if name == b"accept-language":
            return "fr" if value.lstrip()[:2].lower() == b"fr" else "en"
    return "en"


def _credentials(headers: Iterable[Header]) -> tuple[list[bytes], tuple[str, ...]]:
    """Every ``Authorization`` and every ``DPoP`` header, in one pass."""
    authorizations, proofs = [], []
    for name, value in headers:
        if name == b"authorization":
            authorizations.append(value)
        elif name == b"dpop":
            proofs.append(value.decode("latin-1"))
    return authorizations, tuple(proofs)


def _token(values: Sequence[bytes]) -> tuple[bytes, bytes] | Refusal:
    """Scheme, in lower case, and token."""
    if not values:
        return Refusal("token_missing", {})
    scheme, _, token = values[0].partition(b" ")
    scheme, token = scheme.lower(), token.strip()
    if len(values) > 1 or scheme not in _SCHEMES or not token or len(token) > MAX_TOKEN_BYTES:
        return Refusal("token_malformed", {})
    return scheme, token


def _names(query: bytes, dataset: Dataset) -> tuple[tuple[str, ...], tuple[str, ...]] | Refusal:
    """Fields of the catalogue, and what may be derived answers of the authorisation: the token will tell."""
    if not query:
        return (), ()
    if len(query) > MAX_QUERY_BYTES:
        return _malformed("query", f"at most {MAX_QUERY_BYTES} bytes")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return _malformed("query", "name=value pairs, percent-encoded")
    if [name for name, _ in pairs] != ["fields"]:
        return _malformed("query", "the parameter 'fields' alone, once")
    names = tuple(dict.fromkeys(pairs[0][1].split(",")))
    known = dataset.manifest.fields
    derived = tuple(name for name in names if name not in known)
    if not all(RULE_NAME.match(name) for name in derived):
        return Refusal("field_unknown", {})
    return tuple(name for name in names if name in known), derived


def _malformed(field: str, expected: str) -> Refusal:
    return Refusal("request_malformed", {"field": field, "expected": expected})
