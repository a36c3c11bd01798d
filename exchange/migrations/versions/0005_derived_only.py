"""Habilitations for answers without the data: fields of which nothing but derived answers leaves."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("registry_habilitations") as table:
        table.add_column(sa.Column("derived_only", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("registry_habilitations") as table:
        table.drop_column("derived_only")
