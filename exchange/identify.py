"""Step 1 of an exchange: bound and parse the request. Pure; raises nothing.

Only names that the catalogue knows are kept, so that nothing a caller typed reaches the log; and, apart from them,
names of the form of a derived answer's. What is asked besides the token is ``question.py``'s.
"""

from collections.abc import Iterable

from exchange.asgi import Header, Scope
from exchange.citizen_token import citizens_token
from exchange.credentials import CredentialsMalformed, read_credentials
from exchange.model import Asked, Refusal
from exchange.question import question
from openapi.problem import Language
from providers.registry import Datasets

PATH = "/v1/data/"


def identify(scope: Scope, request_id: str, datasets: Datasets, body: bytes | Refusal | None = None) -> Asked:
    """What is asked, with ``fault`` set when the request itself is wrong. ``body``: of a ``POST``."""
    dataset = datasets.get(scope["path"].removeprefix(PATH))
    if dataset is None:
        return Asked(request_id, fault=Refusal("dataset_unknown", {}))
    name = dataset.manifest.dataset
    try:
        given = read_credentials(scope["headers"])
    except CredentialsMalformed:
        return Asked(request_id, name, fault=Refusal("token_malformed", {}))
    if not given.token:
        return Asked(request_id, name, fault=Refusal("token_missing", {}))
    text = given.token
    asks = question(scope["query_string"], body, dataset.manifest)
    if isinstance(asks, Refusal):
        return Asked(request_id, name, token=text, fault=asks)
    citizens = citizens_token(scope["headers"]) if dataset.manifest.franceconnect_token else None
    if isinstance(citizens, Refusal):
        return Asked(request_id, name, token=text, fault=citizens)
    return Asked(
        request_id,
        name,
        asks.fields,
        text,
        given.is_dpop,
        given.proofs,
        franceconnect_token=citizens,
        derived=asks.derived,
        parameters=asks.parameters,
    )


def language(headers: Iterable[Header]) -> Language:
    """The language the caller reads first: French or, failing that, English."""
    for name, value in headers:
        if name == b"accept-language":
            return "fr" if value.lstrip()[:2].lower() == b"fr" else "en"
    return "en"
