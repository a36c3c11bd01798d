"""The policy: who may receive what. Pure; the default is refusal.

A gateway asks :func:`decide` on each exchange; the consent authority asks :func:`habilitation_for` before it shows
a screen, so that a citizen is never asked for what could not be given.
"""

from collections.abc import Iterable

from consent.model import Detail
from exchange.model import Asked, ConsentToken, Habilitation, Permit, Refusal, Registry
from openapi.problem import Fact
from openapi.rules import Rule, sources


def decide(asked: Asked, token: ConsentToken, registry: Registry, *, now: int) -> Permit | Refusal:
    """Fields = asked, consented and habilitated; each missing condition refuses under its own name."""
    client = registry.clients.get(token.client_id)
    if client is None:
        return _refuse("client_unknown")
    detail = token.details.get(asked.dataset)
    if detail is None:
        return _refuse("dataset_not_consented")
    if detail.recipient != client.organisation:
        return _refuse("habilitation_missing")
    if detail.expires_at is not None and detail.expires_at <= now:
        return _refuse("grant_expired")
    if (asked.fields or asked.derived) and (beyond := {*asked.fields, *asked.derived}.difference(detail.names)):
        return _refuse("field_not_consented", fields=tuple(sorted(beyond)))
    habilitation = habilitation_for(registry, token.client_id, detail, now=now)
    if isinstance(habilitation, Refusal):
        return habilitation
    wanted = asked.fields if asked.fields or asked.derived else detail.fields
    allowed = tuple(field for field in wanted if field in habilitation.fields)
    rules = _rules(asked, detail, habilitation) if detail.rules else ()
    if not allowed and not rules:
        return _refuse("field_not_habilitated", fields=(*wanted, *sources(detail.rules)))
    return Permit(allowed, detail, habilitation, rules)


def _rules(asked: Asked, detail: Detail, habilitation: Habilitation) -> tuple[Rule, ...]:
    whole = not asked.fields and not asked.derived
    return tuple(
        rule for rule in detail.rules if (whole or rule.name in asked.derived) and rule.field in habilitation.answerable
    )


def habilitation_for(registry: Registry, client_id: str, detail: Detail, *, now: int) -> Habilitation | Refusal:
    """The habilitation in force that covers the recipient, application, dataset and purpose, and rests on consent."""
    candidates = []
    for one in registry.habilitations.get((detail.recipient, detail.dataset), ()):
        covers = detail.purpose in one.purposes and (not one.clients or client_id in one.clients)
        if covers and "consent" in one.grounds:
            if one.valid_from <= now < one.valid_until:
                return one
            candidates.append(one)
    return _why_not(candidates, now)


def _why_not(candidates: Iterable[Habilitation], now: int) -> Refusal:
    starts = [one.valid_from for one in candidates]
    if not starts:
        return _refuse("habilitation_missing")
    if all(start > now for start in starts):
        return _refuse("habilitation_not_started")
    return _refuse("habilitation_expired")


def _refuse(slug: str, **facts: Fact) -> Refusal:
    return Refusal(slug, facts)
