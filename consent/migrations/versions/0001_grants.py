"""Grants and their changes, pushed requests, codes, used assertions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_grants",
        sa.Column("grant_id", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("recipient", sa.String(14), nullable=False),
        sa.Column("citizen", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("acr", sa.String(64), nullable=False),
        sa.Column("legal_basis", sa.String(), nullable=False),
        sa.Column("notice_sha256", sa.String(64), nullable=False),
        sa.Column("status_index", sa.Integer(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("status_index"),
    )
    op.create_index("ix_consent_grants_citizen", "consent_grants", ["citizen"])
    op.create_table(
        "consent_changes",
        sa.Column("change", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("status_index", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
    )
    last_change = op.create_table(
        "consent_last_change",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(last_change, [{"id": 1, "change": 0}])
    op.create_table(
        "consent_requests",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.Boolean(), nullable=False),
        sa.Column("decided", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_consent_requests_expires_at", "consent_requests", ["expires_at"])
    op.create_table(
        "consent_codes",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("grant_id", sa.String(64), sa.ForeignKey("consent_grants.grant_id"), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_consent_codes_expires_at", "consent_codes", ["expires_at"])
    op.create_table(
        "consent_assertions",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_consent_assertions_expires_at", "consent_assertions", ["expires_at"])


def downgrade() -> None:
    for table in (
        "consent_assertions",
        "consent_codes",
        "consent_requests",
        "consent_last_change",
        "consent_changes",
        "consent_grants",
    ):
        op.drop_table(table)
