"""The registry in the database: loaded whole from a file, read whole into each gateway's memory."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from ipaddress import ip_network
from typing import cast

from sqlalchemy import Engine, delete, func
from sqlmodel import Session, SQLModel, select

from audit.auditors import Auditor, Role
from consent.model import Client, SenderConstraint
from exchange.model import Delegation, GroundKind, Habilitation, Registry
from exchange.registry_file import RegistryFile
from exchange.tables import AuditorRow, ClientRow, DelegationRow, HabilitationRow, OrganisationRow, RegistryVersionRow
from openapi.fields import Siret

EMPTY = Registry(version=0, organisations={}, clients={})


class RegistryStore:
    """One method, one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def replace(self, file: RegistryFile, *, content: bytes, now: int) -> int:
        """Put the file in the place of what was loaded before; return the new version."""
        with Session(self._engine) as session, session.begin():
            for table in (AuditorRow, DelegationRow, HabilitationRow, ClientRow, OrganisationRow):
                session.exec(delete(table))
            for rows in _rows(file):
                session.add_all(rows)
                session.flush()
            version = RegistryVersionRow(loaded_at=now, sha256=hashlib.sha256(content).hexdigest())
            session.add(version)
            session.flush()
            return cast("int", version.version)

    def version(self) -> int:
        """The newest version; 0 before the first load."""
        with Session(self._engine) as session:
            return session.exec(select(func.max(RegistryVersionRow.version))).one() or 0

    def read(self) -> Registry:
        """Everything, of one version."""
        with Session(self._engine) as session, session.begin():
            version = session.exec(select(func.max(RegistryVersionRow.version))).one() or 0
            organisations = {Siret(row.siret): row.name for row in session.exec(select(OrganisationRow))}
            clients = {row.client_id: _client(row, organisations) for row in session.exec(select(ClientRow))}
            habilitations: dict[tuple[Siret, str], list[Habilitation]] = defaultdict(list)
            for row in session.exec(select(HabilitationRow).order_by(HabilitationRow.id)):
                habilitations[Siret(row.organisation), row.dataset].append(_habilitation(row))
            rows = session.exec(select(AuditorRow)).all()
            auditors = {row.subject: _auditor(row) for row in rows}
            machines = {row.token_sha256: _auditor(row) for row in rows if row.token_sha256 is not None}
            delegations = {row.id: _delegation(row) for row in session.exec(select(DelegationRow))}
        tokens = {one.token_sha256: one.client_id for one in clients.values() if one.token_sha256 is not None}
        by_dataset = {key: tuple(found) for key, found in habilitations.items()}
        return Registry(version, organisations, clients, by_dataset, auditors, machines, delegations, tokens)


def _rows(file: RegistryFile) -> tuple[list[SQLModel], ...]:
    return (
        [OrganisationRow(siret=one.siret, name=one.name) for one in file.organisation],
        [
            ClientRow(
                **one.model_dump(exclude={"token_until", "allowed_ips"}),
                token_until=one.token_ends(),
                allowed_ips=[str(network) for network in one.allowed_ips],
            )
            for one in file.client
        ],
        [
            HabilitationRow(
                **one.model_dump(exclude={"valid_from", "valid_until"}), valid_from=one.starts(), valid_until=one.ends()
            )
            for one in file.habilitation
        ],
        [
            DelegationRow(
                **one.model_dump(exclude={"valid_from", "valid_until"}), valid_from=one.starts(), valid_until=one.ends()
            )
            for one in file.delegation
        ],
        [AuditorRow(**one.model_dump(exclude={"label"})) for one in file.auditor],
    )


def _client(row: ClientRow, organisations: Mapping[Siret, str]) -> Client:
    organisation = Siret(row.organisation)
    return Client(
        client_id=row.client_id,
        name=row.name,
        organisation=organisation,
        organisation_name=organisations[organisation],
        redirect_uris=tuple(row.redirect_uris),
        jwks=row.jwks,
        sender_constraint=cast("SenderConstraint", row.sender_constraint),
        certificates=tuple(row.certificates),
        events_url=row.events_url,
        token_sha256=row.token_sha256,
        token_until=row.token_until,
        token_jkt=row.token_jkt,
        allowed_networks=tuple(ip_network(one) for one in row.allowed_ips),
        franceconnect_client_id=row.franceconnect_client_id,
    )


def _habilitation(row: HabilitationRow) -> Habilitation:
    return Habilitation(
        id=row.id,
        organisation=Siret(row.organisation),
        clients=frozenset(row.clients),
        dataset=row.dataset,
        fields=frozenset(row.fields),
        purposes={one["code"]: {"fr": one["fr"], "en": one["en"]} for one in row.purposes},
        legal_basis=row.legal_basis,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        datapass=row.datapass,
        grounds=frozenset(cast("list[GroundKind]", row.grounds)),
        derived_only=frozenset(row.derived_only),
    )


def _delegation(row: DelegationRow) -> Delegation:
    return Delegation(
        id=row.id,
        organisation=Siret(row.organisation),
        delegate=Siret(row.delegate),
        datasets=frozenset(row.datasets),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )


def _auditor(row: AuditorRow) -> Auditor:
    return Auditor(row.subject, cast("Role", row.role), row.organisation)
