"""Grants and accesses put into a citizen's words. Pure but for the two ports that know the names."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from consent.model import Detail, Grant
from consent.pages.dates import day, moment_of
from consent.pages.derived import in_words
from consent.pages.notice import spaced_siret
from consent.pages.texts import named, say
from consent.ports import AccessView, Catalogue, Permit, Registry
from openapi.fields import Siret
from openapi.problem import Language, problem
from openapi.rules import read_rules, sources

Standing: TypeAlias = Literal["active", "suspended", "withdrawn", "expired"]


@dataclass(frozen=True, slots=True)
class Item:
    """One dataset and the fields of it, by their labels."""

    title: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantCard:
    """An authorisation as the list shows it."""

    grant_id: str
    organisation: str
    application: str
    items: tuple[Item, ...]
    purposes: tuple[str, ...]
    use: str
    given: str
    until: str
    standing: Standing
    status: str


@dataclass(frozen=True, slots=True)
class AccessCard:
    """An access as the list shows it. ``time`` is RFC 3339, ``moment`` the same in words."""

    index: int
    time: str
    moment: str
    organisation: str
    application: str
    item: Item
    purpose: str
    ground: str
    sent: bool
    outcome: str
    grant_id: str


@dataclass(frozen=True, slots=True)
class Wording:
    """Turns identifiers into words. What is registered no more keeps its identifier."""

    catalogue: Catalogue
    registry: Registry
    language: Language
    now: int

    def grant(self, grant: Grant) -> GrantCard:
        """One authorisation."""
        standing = _standing(grant, now=self.now)
        ended = grant.ended_at if grant.ended_at is not None else grant.expires_at
        recurring = any(detail.access == "recurring" for detail in grant.details)
        return GrantCard(
            grant_id=grant.grant_id,
            organisation=self.organisation(grant.recipient),
            application=self.application(grant.client_id),
            items=tuple(self._item(detail) for detail in grant.details),
            purposes=tuple(dict.fromkeys(self.purpose(grant.client_id, detail) for detail in grant.details)),
            use=say(self.language, "grants.recurring" if recurring else "grants.once"),
            given=day(grant.given_at, self.language),
            until=day(grant.expires_at, self.language),
            standing=standing,
            status=say(self.language, f"grants.status_{standing}", date=day(ended, self.language)),
        )

    def access(self, access: AccessView) -> AccessCard:
        """One access."""
        sent = access.outcome == "ok"
        recipient = Siret(access.recipient)
        rules = read_rules(access.rules)
        plain = tuple(name for name in access.fields if name not in sources(rules))
        detail = Detail(access.dataset, plain, access.purpose, recipient, rules=rules)
        reason = problem(access.outcome).title[self.language]
        return AccessCard(
            index=access.index,
            time=access.time,
            moment=moment_of(access.time, self.language),
            organisation=self.organisation(recipient),
            application=self.application(access.client_id),
            item=self._item(detail),
            purpose=self.purpose(access.client_id, detail),
            ground=named(self.language, "basis", access.legal_basis),
            sent=sent,
            outcome=say(
                self.language, "accesses.sent" if sent else "accesses.not_sent", reason=reason[:1].lower() + reason[1:]
            ),
            grant_id=access.grant_id,
        )

    def organisation(self, siret: Siret) -> str:
        """The name of an organisation."""
        return self.registry.organisation_name(siret) or f"SIRET {spaced_siret(siret)}"

    def application(self, client_id: str) -> str:
        """The name of an application."""
        client = self.registry.client(client_id)
        return client.name if client else client_id

    def _item(self, detail: Detail) -> Item:
        notice = self.catalogue.notice(detail.dataset)
        known = notice.fields if notice else {}
        labels = (known[name].label[self.language] if name in known else name for name in detail.fields)
        derived = (in_words(rule, known.get(rule.field), self.language) for rule in detail.rules)
        return Item(notice.title[self.language] if notice else detail.dataset, (*labels, *derived))

    def purpose(self, client_id: str, detail: Detail) -> str:
        """The purpose's words live in the habilitation; once it is gone, its code stays readable."""
        client = self.registry.client(client_id)
        found = self.registry.decide(client, detail, now=self.now) if client else None
        return found.purpose[self.language] if isinstance(found, Permit) else detail.purpose.replace("_", " ")


def _standing(grant: Grant, *, now: int) -> Standing:
    if grant.status == "withdrawn":
        return "withdrawn"
    return "expired" if grant.expires_at <= now else grant.status
