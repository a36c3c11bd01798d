"""Auditors and operators: who may read the log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_auditors",
        sa.Column("subject", sa.String(66), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("organisation", sa.String(14), sa.ForeignKey("registry_organisations.siret"), nullable=True),
        sa.Column("token_sha256", sa.String(64), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("registry_auditors")
