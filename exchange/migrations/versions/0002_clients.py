"""Certificates of applications, and where they are told of withdrawals."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("registry_clients", sa.Column("certificates", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("registry_clients", sa.Column("events_url", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("registry_clients", "events_url")
    op.drop_column("registry_clients", "certificates")
