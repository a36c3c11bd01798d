"""Consent's tables. Times are Unix seconds; codes and request URIs are stored as hashes, identities sealed."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData, Text
from sqlmodel import Field, SQLModel


class Base(SQLModel):
    """Consent's own metadata."""

    metadata = MetaData()


class GrantRow(Base, table=True):
    """One citizen's authorisation. Kept after its end, as the record of what she agreed to, until its retention ends.

    What is left then is its status index, which no other grant may have (:mod:`consent.retention`).
    """

    __tablename__ = "consent_grants"

    grant_id: str = Field(primary_key=True, max_length=64)
    client_id: str = Field(max_length=128)
    recipient: str = Field(max_length=14)
    citizen: str = Field(max_length=64, index=True)
    details: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    identity: str
    acr: str = Field(max_length=64)
    legal_basis: str
    notice_sha256: str = Field(max_length=64)
    status_index: int = Field(unique=True)
    given_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    status: str = Field(max_length=16)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    supersedes: str | None = Field(default=None, max_length=64)
    """The grant that this one replaced."""
    reminded_at: int | None = Field(default=None, sa_type=BigInteger)
    """When its application was told that it nears its end."""


class ChangeRow(Base, table=True):
    """A change of a grant's status, for the gateways' feed. ``change`` grows in the order of commits."""

    __tablename__ = "consent_changes"

    change: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    status_index: int
    status: int
    changed_at: int = Field(default=0, sa_type=BigInteger)


class LastChangeRow(Base, table=True):
    """The one row whose lock makes changes take their numbers one at a time."""

    __tablename__ = "consent_last_change"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    change: int = Field(sa_type=BigInteger)


class RequestRow(Base, table=True):
    """A pushed request, until it lapses."""

    __tablename__ = "consent_requests"

    key: str = Field(primary_key=True, max_length=64)
    client_id: str = Field(max_length=128)
    details: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    redirect_uri: str
    state: str | None = None
    code_challenge: str = Field(max_length=43)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    opened: bool = False
    decided: bool = False
    dpop_jkt: str | None = Field(default=None, max_length=43)
    """The key that the code will be bound to (RFC 9449 section 10)."""
    grant_action: str | None = Field(default=None, max_length=8)
    grant_id: str | None = Field(default=None, max_length=64)
    """What becomes of an earlier grant (Grant Management for OAuth 2.0)."""


class CodeRow(Base, table=True):
    """An authorization code."""

    __tablename__ = "consent_codes"

    key: str = Field(primary_key=True, max_length=64)
    grant_id: str = Field(foreign_key="consent_grants.grant_id", max_length=64)
    client_id: str = Field(max_length=128)
    redirect_uri: str
    code_challenge: str = Field(max_length=43)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    used_at: int | None = Field(default=None, sa_type=BigInteger)
    dpop_jkt: str | None = Field(default=None, max_length=43)


class RefreshRow(Base, table=True):
    """A refresh token: good for its application alone, as long as the grant lives."""

    __tablename__ = "consent_refresh_tokens"

    key: str = Field(primary_key=True, max_length=64)
    grant_id: str = Field(foreign_key="consent_grants.grant_id", max_length=64, index=True)
    client_id: str = Field(max_length=128)
    created_at: int = Field(sa_type=BigInteger)


class DeliveryRow(Base, table=True):
    """A security event for a recipient (RFC 8417), until it was delivered or gave up."""

    __tablename__ = "consent_deliveries"

    jti: str = Field(primary_key=True, max_length=64)
    client_id: str = Field(max_length=128, index=True)
    grant_id: str = Field(max_length=64)
    event: str = Field(max_length=128)
    """The event's URI."""
    created_at: int = Field(sa_type=BigInteger)
    next_attempt_at: int | None = Field(default=None, sa_type=BigInteger, index=True)
    """``None``: not pushed (polled, delivered, or given up)."""
    attempts: int = 0
    delivered_at: int | None = Field(default=None, sa_type=BigInteger)


class NoticeRow(Base, table=True):
    """The exact text that a citizen was shown, once for each version."""

    __tablename__ = "consent_notices"

    sha256: str = Field(primary_key=True, max_length=64)
    language: str = Field(max_length=2)
    content: str = Field(sa_type=Text)
    first_shown_at: int = Field(sa_type=BigInteger)


class AssertionRow(Base, table=True):
    """The ``jti`` of a client assertion or DPoP proof that was used, until it expires."""

    __tablename__ = "consent_assertions"

    key: str = Field(primary_key=True, max_length=64)
    expires_at: int = Field(sa_type=BigInteger, index=True)
