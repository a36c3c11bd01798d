"""The checks of ``/authorize``: pure, parameters in, a login to offer or a refusal out.

FranceConnect validates the parameters against a closed list: one it does not document (PKCE's, for one) is a
malformed request, like a ``state`` or ``nonce`` too short. ProConnect does too, with another list.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sandbox.franceconnect.people import Partner

REQUIRED = ("response_type", "client_id", "redirect_uri", "acr_values", "scope", "state", "nonce")
LONGEST_VALUE = 2048
ACR = "eidas1"

_PROMPTS = ("login", "consent", "login consent", "consent login")


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs from one federation to the other."""

    scopes: Collection[str]
    """Those that a partner may ask for."""
    optional: tuple[str, ...] = ("claims", "prompt")
    shortest_nonce: int = 22
    """Characters of a ``state`` or ``nonce``."""


@dataclass(frozen=True, slots=True)
class Login:
    """A sound request, waiting for someone to choose who she is."""

    partner: Partner
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Shown on the federation's own page (error Y000400): there is nowhere safe to send the person back to."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Told to the partner on its ``redirect_uri`` (OpenID Connect Core section 3.1.2.6)."""

    redirect_uri: str
    state: str
    error: str
    description: str


Decision: TypeAlias = Login | Malformed | Refused


def check_authorize(parameters: Sequence[tuple[str, str]], partners: Mapping[str, Partner], rules: Rules) -> Decision:
    """Decide on the query of an authorization request."""
    given = dict(parameters)
    if fault := _form_fault(parameters, given, rules) or _partner_fault(given, partners):
        return Malformed(fault)
    if refusal := _refusal(given, rules.scopes):
        error, description = refusal
        return Refused(given["redirect_uri"], given["state"], error, description)
    return Login(
        partner=partners[given["client_id"]],
        redirect_uri=given["redirect_uri"],
        scopes=tuple(given["scope"].split()),
        state=given["state"],
        nonce=given["nonce"],
    )


def _form_fault(parameters: Sequence[tuple[str, str]], given: Mapping[str, str], rules: Rules) -> str | None:
    if unlisted := sorted(given.keys() - {*REQUIRED, *rules.optional}):
        return f"parameter not listed: {unlisted[0]}"
    if len(given) != len(parameters):
        return "a parameter is given twice"
    if missing := [name for name in REQUIRED if not given.get(name)]:
        return f"parameter missing: {missing[0]}"
    if too_long := [name for name, value in parameters if len(value) > LONGEST_VALUE]:
        return f"parameter too long: {too_long[0]}"
    if short := [name for name in ("state", "nonce") if len(given[name]) < rules.shortest_nonce]:
        return f"{short[0]} must have at least {rules.shortest_nonce} characters"
    return None


def _partner_fault(given: Mapping[str, str], partners: Mapping[str, Partner]) -> str | None:
    partner = partners.get(given["client_id"])
    if partner is None:
        return "client_id unknown"
    if given["redirect_uri"] not in partner.redirect_uris:
        return "redirect_uri not registered"
    return None


def _refusal(given: Mapping[str, str], known_scopes: Collection[str]) -> tuple[str, str] | None:
    scopes = given["scope"].split()
    if given["response_type"] != "code":
        return "unsupported_response_type", "response_type must be code"
    if given["acr_values"] != ACR:
        return "invalid_request", f"acr_values must be {ACR}"
    if given.get("prompt", "login") not in _PROMPTS:
        return "invalid_request", "prompt must be login or consent"
    if "openid" not in scopes:
        return "invalid_scope", "scope must contain openid"
    if unknown := [scope for scope in scopes if scope not in known_scopes]:
        return "invalid_scope", f"requested scope is not allowed: {unknown[0][:50]}"
    return None
