"""Grants and what surrounds them: plain values and pure decisions, no I/O. Times are Unix seconds.

A :class:`Grant` is one citizen's authorisation and the OAuth grant in one. Its life::

    (requested) --agree--> active <--suspend, resume--> suspended
         |                   |------withdraw--> withdrawn <--withdraw---'
         |                   `----expires_at--> expired   <--expires_at-'
         `--refuse--> (nothing is stored; the refusal is in the log)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, TypeAlias

from openapi.fields import Siret
from openapi.rules import Rule

DETAIL_TYPE_PREFIX = "urn:accord:"

MAX_PER_DAY = 50
"""The highest daily limit that a grant may carry: each day's uses are slots that the log spends one by one."""

GrantStatus: TypeAlias = Literal["active", "suspended", "withdrawn", "expired"]
SenderConstraint: TypeAlias = Literal["dpop", "mtls", "none"]
About: TypeAlias = Literal["citizen", "child", "company"]
AccessMode: TypeAlias = Literal["once", "recurring"]


BEFORE: Mapping[GrantStatus, frozenset[GrantStatus]] = {
    "active": frozenset({"suspended"}),
    "suspended": frozenset({"active"}),
    "withdrawn": frozenset({"active", "suspended"}),
    "expired": frozenset({"active", "suspended"}),
}
"""What a grant may have been to become what it is; nothing leaves ``withdrawn`` or ``expired``."""
EVENTS: Mapping[GrantStatus, str] = {
    "active": "grant.resumed",
    "suspended": "grant.suspended",
    "withdrawn": "grant.withdrawn",
    "expired": "grant.expired",
}
"""How the log names the change."""
RENEWAL_SHARE = 0.8
"""Share of its life after which a grant is near its end, and its renewal is due."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One ``authorization_details`` object (RFC 9396) of ours, checked: what is asked or what was granted.

    ``fields`` leave as they are; of the fields that ``rules`` are about, only the answers.
    """

    dataset: str
    fields: tuple[str, ...]
    purpose: str
    recipient: Siret
    access: AccessMode = "once"
    max_per_day: int | None = None
    expires_at: int | None = None
    retention: str | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What a citizen may give or not, each by its name: fields, then derived answers."""
        return (*self.fields, *(rule.name for rule in self.rules))

    def to_claim(self) -> dict[str, object]:
        """The object as RFC 9396 carries it, without missing members."""
        claim: dict[str, object] = {
            "type": DETAIL_TYPE_PREFIX + self.dataset,
            "datatypes": list(self.fields),
            "derived": [rule.to_claim() for rule in self.rules] or None,
            "purpose": self.purpose,
            "recipient": self.recipient,
            "access": self.access,
            "max_per_day": self.max_per_day,
            "expires_at": self.expires_at,
            "retention": self.retention,
        }
        return {key: value for key, value in claim.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Citizen:
    """Who is logged in: the log's pseudonym and what FranceConnect vouched for, sealed (JWE).

    ``pseudonym``: keyed HMAC of the pivot identity, the same for every login of the same person.
    ``identity``: the pivot identity as a compact JWE that only gateways open.
    """

    pseudonym: str
    identity: str
    acr: str

    def __repr__(self) -> str:
        return "Citizen(...)"


@dataclass(frozen=True, slots=True)
class Grant:
    """One citizen's authorisation to one application for one recipient."""

    grant_id: str
    client_id: str
    recipient: Siret
    citizen: str
    """The citizen's pseudonym."""
    details: tuple[Detail, ...]
    identity: str
    """The sealed pivot identity (JWE), carried by the tokens made from this grant."""
    acr: str
    legal_basis: str
    """Of the habilitation under which it was given."""
    notice_sha256: str
    status_index: int
    given_at: int
    expires_at: int
    status: GrantStatus = "active"
    ended_at: int | None = None
    supersedes: str | None = None
    """The grant that this one replaced."""

    def __repr__(self) -> str:
        return f"Grant({self.grant_id})"

    @property
    def renewal_due_at(self) -> int:
        """Unix seconds from which it is near its end."""
        return self.given_at + int((self.expires_at - self.given_at) * RENEWAL_SHARE)


@dataclass(frozen=True, slots=True)
class FieldNotice:
    """A field as the citizen reads it, and whom it is about.

    ``type``: ``string``, ``date``, ``integer``, ``number`` or ``boolean``.
    """

    name: str
    label: Mapping[str, str]
    about: About = "citizen"
    type: str = "string"


@dataclass(frozen=True, slots=True)
class DatasetNotice:
    """A dataset as the citizen reads it: title and holder in both languages, its fields, the legal basis."""

    dataset: str
    title: Mapping[str, str]
    holder: Mapping[str, str]
    fields: Mapping[str, FieldNotice]
    legal_basis: str


@dataclass(frozen=True, slots=True)
class Client:
    """A registered application. ``jwks`` holds its public keys for ``private_key_jwt`` (RFC 7523)."""

    client_id: str
    name: str
    organisation: Siret
    organisation_name: str
    redirect_uris: tuple[str, ...]
    jwks: Mapping[str, object]
    sender_constraint: SenderConstraint
    """How its tokens are bound. ``none`` must be said explicitly in the registration."""
    certificates: tuple[str, ...] = ()
    """SHA-256 thumbprints (``x5t#S256``) of the certificates by which it authenticates, if it does so by mTLS."""
    events_url: str | None = None
    """Where it is told of withdrawals (RFC 8935); without it the application polls (RFC 8936)."""
    token_sha256: str | None = field(default=None, repr=False)
    """Of the access token with which it calls the paths of API Particulier and API Entreprise."""
    token_until: int | None = None
    """First second at which that token is over."""
    token_jkt: str | None = None
    """The key (RFC 7638 thumbprint) whose DPoP proofs must come with that token."""
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where its calls come from; empty means anywhere."""
    franceconnect_client_id: str | None = None
    """Under which FranceConnect knows it: whose tokens for a citizen it may present."""
