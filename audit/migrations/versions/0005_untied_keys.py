"""A spent key may outlive the entry that spent it without leading to it: its row then says -2, and may go by itself."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNTIED = -2


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER log_spent_keys_erased ON log_spent_keys")
        op.execute(
            "CREATE TRIGGER log_spent_keys_erased BEFORE DELETE ON log_spent_keys "
            f'FOR EACH ROW WHEN (OLD."index" <> {UNTIED}) EXECUTE FUNCTION log_erases_what_is_named()'
        )
        return
    op.execute("DROP TRIGGER log_spent_keys_delete")
    op.execute(
        "CREATE TRIGGER log_spent_keys_delete BEFORE DELETE ON log_spent_keys "  # noqa: S608  # a number of ours
        f'WHEN old."index" <> {UNTIED} AND NOT EXISTS (SELECT 1 FROM log_erased WHERE "index" = old."index") '
        "BEGIN SELECT RAISE(ABORT, 'only what a retention run names is erased: log_spent_keys'); END"
    )
