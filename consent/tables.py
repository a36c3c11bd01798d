"""Consent's tables. Times are Unix seconds; codes and request URIs are stored as hashes, identities sealed."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData
from sqlmodel import Field, SQLModel


class Base(SQLModel):
    """Consent's own metadata."""

    metadata = MetaData()


class GrantRow(Base, table=True):
    """One citizen's authorisation. Kept after its end: it is also the record of what she agreed to."""

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


class ChangeRow(Base, table=True):
    """A change of a grant's status, for the gateways' feed. ``change`` grows in the order of commits."""

    __tablename__ = "consent_changes"

    change: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    status_index: int
    status: int


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


class AssertionRow(Base, table=True):
    """The ``jti`` of a client assertion that was used, until the assertion expires."""

    __tablename__ = "consent_assertions"

    key: str = Field(primary_key=True, max_length=64)
    expires_at: int = Field(sa_type=BigInteger, index=True)
