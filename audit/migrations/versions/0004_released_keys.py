"""A key may go with the entry that used it: only once a retention run has named that entry."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEYS = ("log_spent_keys", "log_closed_keys")


def upgrade() -> None:
    for table in KEYS:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_grows ON {table}")
            op.execute(
                f"CREATE TRIGGER {table}_grows BEFORE UPDATE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_erased BEFORE DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION log_erases_what_is_named()"
            )
            continue
        op.execute(f"DROP TRIGGER {table}_delete")
        op.execute(
            f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} "  # noqa: S608  # tables of ours
            'WHEN NOT EXISTS (SELECT 1 FROM log_erased WHERE "index" = old."index") '
            f"BEGIN SELECT RAISE(ABORT, 'only what a retention run names is erased: {table}'); END"
        )
