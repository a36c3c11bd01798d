"""Bound codes, refresh tokens, grant management, dated changes, security events, notices."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consent_grants", sa.Column("supersedes", sa.String(64), nullable=True))
    op.add_column("consent_grants", sa.Column("reminded_at", sa.BigInteger(), nullable=True))
    op.add_column("consent_changes", sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("consent_requests", sa.Column("dpop_jkt", sa.String(43), nullable=True))
    op.add_column("consent_requests", sa.Column("grant_action", sa.String(8), nullable=True))
    op.add_column("consent_requests", sa.Column("grant_id", sa.String(64), nullable=True))
    op.add_column("consent_codes", sa.Column("dpop_jkt", sa.String(43), nullable=True))
    op.create_table(
        "consent_refresh_tokens",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("grant_id", sa.String(64), sa.ForeignKey("consent_grants.grant_id"), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_consent_refresh_tokens_grant_id", "consent_refresh_tokens", ["grant_id"])
    op.create_table(
        "consent_deliveries",
        sa.Column("jti", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("event", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_consent_deliveries_client_id", "consent_deliveries", ["client_id"])
    op.create_index("ix_consent_deliveries_next_attempt_at", "consent_deliveries", ["next_attempt_at"])
    op.create_table(
        "consent_notices",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("first_shown_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in ("consent_notices", "consent_deliveries", "consent_refresh_tokens"):
        op.drop_table(table)
    op.drop_column("consent_codes", "dpop_jkt")
    for column in ("grant_id", "grant_action", "dpop_jkt"):
        op.drop_column("consent_requests", column)
    op.drop_column("consent_changes", "changed_at")
    op.drop_column("consent_grants", "reminded_at")
    op.drop_column("consent_grants", "supersedes")
