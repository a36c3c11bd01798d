"""The registry's tables: organisations, applications, habilitations, delegations, auditors. A load replaces all."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData
from sqlmodel import Field, SQLModel


class Base(SQLModel):
    """The exchange package's own metadata."""

    metadata = MetaData()


class OrganisationRow(Base, table=True):
    """An organisation that may receive data."""

    __tablename__ = "registry_organisations"

    siret: str = Field(primary_key=True, max_length=14)
    name: str


class ClientRow(Base, table=True):
    """A registered application."""

    __tablename__ = "registry_clients"

    client_id: str = Field(primary_key=True, max_length=64)
    name: str
    organisation: str = Field(foreign_key="registry_organisations.siret", max_length=14)
    redirect_uris: list[str] = Field(sa_column=Column(JSON, nullable=False))
    jwks: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    sender_constraint: str
    certificates: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    events_url: str | None = None
    token_sha256: str | None = Field(default=None, max_length=64)
    token_until: int | None = Field(default=None, sa_type=BigInteger)
    token_jkt: str | None = Field(default=None, max_length=43)
    allowed_ips: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]"))
    franceconnect_client_id: str | None = None


class HabilitationRow(Base, table=True):
    """What an organisation may ask for."""

    __tablename__ = "registry_habilitations"

    id: str = Field(primary_key=True, max_length=64)
    organisation: str = Field(foreign_key="registry_organisations.siret", max_length=14)
    clients: list[str] = Field(sa_column=Column(JSON, nullable=False))
    dataset: str = Field(max_length=64)
    fields: list[str] = Field(sa_column=Column(JSON, nullable=False))
    purposes: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    legal_basis: str
    valid_from: int = Field(sa_type=BigInteger)
    valid_until: int = Field(sa_type=BigInteger)
    datapass: str | None = None
    grounds: list[str] = Field(
        default_factory=lambda: ["consent"], sa_column=Column(JSON, nullable=False, server_default='["consent"]')
    )
    derived_only: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]"))


class DelegationRow(Base, table=True):
    """Who may ask for whom."""

    __tablename__ = "registry_delegations"

    id: str = Field(primary_key=True, max_length=64)
    organisation: str = Field(foreign_key="registry_organisations.siret", max_length=14)
    delegate: str = Field(foreign_key="registry_organisations.siret", max_length=14)
    datasets: list[str] = Field(sa_column=Column(JSON, nullable=False))
    valid_from: int = Field(sa_type=BigInteger)
    valid_until: int = Field(sa_type=BigInteger)


class AuditorRow(Base, table=True):
    """Who may read the log. The file's label stays in the file: nothing here needs a name."""

    __tablename__ = "registry_auditors"

    subject: str = Field(primary_key=True, max_length=66)
    role: str = Field(max_length=16)
    organisation: str | None = Field(default=None, foreign_key="registry_organisations.siret", max_length=14)
    token_sha256: str | None = Field(default=None, max_length=64)


class RegistryVersionRow(Base, table=True):
    """One row per load; the newest tells the gateways when to read the registry again."""

    __tablename__ = "registry_versions"

    version: int | None = Field(default=None, primary_key=True)
    loaded_at: int = Field(sa_type=BigInteger)
    sha256: str = Field(max_length=64)
