"""A request at a drop-in door, bounded and parsed. Pure.

Nothing of it is believed yet and nothing of it is ever logged: parameters are an identity in clear.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from exchange.asgi import Scope
from exchange.credentials import CredentialsMalformed, read_credentials
from exchange.dropin.errors import Fault
from openapi.fields import InvalidValue, Siret, siret
from openapi.problem import AccordError

MAX_QUERY_BYTES = 8_192
MAX_PARAMETERS = 60
MAX_HEADER_BYTES = 400


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``token``: of its ``Authorization``, or empty. Times are Unix seconds. ``repr`` shows nothing."""

    scope: Scope
    began: float
    token: bytes
    is_dpop: bool
    proofs: tuple[str, ...]
    parameters: Mapping[str, tuple[str, ...]]

    def __repr__(self) -> str:
        return "Call(...)"

    @property
    def path(self) -> str:
        """Of the URL."""
        return str(self.scope["path"])

    def one(self, name: str) -> str:
        """The value of a parameter; of several the last, as the State's APIs read them. Empty: none."""
        values = self.parameters.get(name)
        return values[-1] if values else ""

    def header(self, name: bytes) -> str | None:
        """A header sent once, of printable characters. Raises ``request_malformed`` for any other."""
        values = [value for key, value in self.scope["headers"] if key == name]
        if not values:
            return None
        try:
            text: str = values[0].decode("utf-8").strip()
        except UnicodeDecodeError:
            raise _bad_header(name) from None
        if len(values) > 1 or not text or not text.isprintable() or len(values[0]) > MAX_HEADER_BYTES:
            raise _bad_header(name)
        return text


def read_call(scope: Scope, *, began: float) -> Call:
    """Raises ``AccordError``: ``application_token_missing`` for an unreadable header, ``request_malformed``."""
    try:
        given = read_credentials(scope["headers"])
    except CredentialsMalformed:
        raise AccordError("application_token_missing") from None
    return Call(scope, began, given.token, given.is_dpop, given.proofs, _parameters(scope["query_string"]))


def recipient_of(value: str) -> Siret | Fault:
    """The parameter ``recipient``: a SIRET with a valid key."""
    if not value:
        return Fault("recipient", is_missing=True)
    try:
        return siret(value)
    except InvalidValue:
        return Fault("recipient")


def _parameters(query: bytes) -> Mapping[str, tuple[str, ...]]:
    if len(query) > MAX_QUERY_BYTES:
        raise AccordError("request_malformed", field="query", expected=f"at most {MAX_QUERY_BYTES} bytes")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise AccordError("request_malformed", field="query", expected="name=value pairs, percent-encoded") from None
    parameters: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        parameters[name] = (*parameters.get(name, ()), value)
    return parameters


def _bad_header(name: bytes) -> AccordError:
    return AccordError(
        "request_malformed", field=name.decode(), expected=f"once, 1 to {MAX_HEADER_BYTES} printable characters"
    )
