"""The registry: organisations, applications, habilitations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_organisations",
        sa.Column("siret", sa.String(14), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
    )
    op.create_table(
        "registry_clients",
        sa.Column("client_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(14), sa.ForeignKey("registry_organisations.siret"), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=False),
        sa.Column("sender_constraint", sa.String(), nullable=False),
    )
    op.create_table(
        "registry_habilitations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("organisation", sa.String(14), sa.ForeignKey("registry_organisations.siret"), nullable=False),
        sa.Column("clients", sa.JSON(), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("legal_basis", sa.String(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("datapass", sa.String(), nullable=True),
    )
    op.create_table(
        "registry_versions",
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    for table in ("registry_versions", "registry_habilitations", "registry_clients", "registry_organisations"):
        op.drop_table(table)
