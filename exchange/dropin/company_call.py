"""What a call at API Entreprise's paths asks, checked in the State's order. Pure.

First that ``context``, ``recipient`` and ``object`` are there, each missing one an error of its own; then that the
recipient is a SIRET, that the company's number has a valid key, and that the one is not the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exchange.company_request import MAX_WORDS
from exchange.dropin.call import Call, recipient_of
from exchange.dropin.company_paths import Route
from exchange.dropin.errors import Fault, ParametersRefused
from openapi.fields import SIREN_DIGITS, InvalidValue, Siren, Siret, siren, siret
from openapi.problem import AccordError
from providers.model import Manifest

MAX_DELEGATION = 64
"""Characters of ``delegation_id``."""

_NUMBERS = ("siret", "siren")


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a company. ``repr`` shows nothing."""

    company: Siret | Siren
    recipient: Siret
    context: str
    object: str
    delegation_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Question(...)"


def read_question(call: Call, route: Route) -> Question:
    """Raises :class:`ParametersRefused`, or ``recipient_is_the_company``."""
    context, object_ = _words(call, "context"), _words(call, "object")
    missing = [
        Fault(name, is_missing=True)
        for name, value in (("context", context), ("recipient", call.one("recipient").strip()), ("object", object_))
        if not value
    ]
    if missing:
        raise ParametersRefused(missing)
    recipient = recipient_of(call.one("recipient"))
    if isinstance(recipient, Fault):
        raise ParametersRefused([recipient])
    company = _company(route)
    if company[:SIREN_DIGITS] == recipient[:SIREN_DIGITS]:
        raise AccordError("recipient_is_the_company")
    return Question(
        company=company,
        recipient=recipient,
        context=context,
        object=object_,
        delegation_id=_delegation(call),
        parameters=dict(_parameters(call, route)),
    )


def _words(call: Call, name: str) -> str:
    """One to 250 printable characters, or nothing."""
    text = call.one(name).strip()
    return text if len(text) <= MAX_WORDS and text.isprintable() else ""


def _company(route: Route) -> Siret | Siren:
    name = next(name for name in _NUMBERS if name in route.values)
    try:
        return siret(route.values[name]) if name == "siret" else siren(route.values[name])
    except InvalidValue:
        raise ParametersRefused([Fault(name)]) from None


def _delegation(call: Call) -> str:
    text = call.one("delegation_id")
    if len(text) > MAX_DELEGATION or not text.isprintable():
        raise ParametersRefused([Fault("delegation_id")])
    return text


def _parameters(call: Call, route: Route) -> Iterable[tuple[str, str]]:
    manifest: Manifest = route.dataset.manifest
    for name, one in manifest.parameters.items():
        value = route.values.get(name) or call.one(name)
        if not value and not one.required:
            continue
        if not one.pattern.fullmatch(value):
            raise ParametersRefused([Fault(name, is_missing=not value)])
        yield name, value
