"""Applications with an access token of their own, where they call from, delegations, and grounds of habilitations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NEW = ("token_sha256", "token_until", "token_jkt", "allowed_ips", "franceconnect_client_id")


def upgrade() -> None:
    with op.batch_alter_table("registry_clients") as table:
        table.add_column(sa.Column("token_sha256", sa.String(64), nullable=True))
        table.add_column(sa.Column("token_until", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("token_jkt", sa.String(43), nullable=True))
        table.add_column(sa.Column("allowed_ips", sa.JSON(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("franceconnect_client_id", sa.String(), nullable=True))
    with op.batch_alter_table("registry_habilitations") as table:
        table.add_column(sa.Column("grounds", sa.JSON(), nullable=False, server_default='["consent"]'))
    op.create_table(
        "registry_delegations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("organisation", sa.String(14), sa.ForeignKey("registry_organisations.siret"), nullable=False),
        sa.Column("delegate", sa.String(14), sa.ForeignKey("registry_organisations.siret"), nullable=False),
        sa.Column("datasets", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("registry_delegations")
    with op.batch_alter_table("registry_habilitations") as table:
        table.drop_column("grounds")
    with op.batch_alter_table("registry_clients") as table:
        for name in _NEW:
            table.drop_column(name)
