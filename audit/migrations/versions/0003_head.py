"""The head is the newest checkpoint's row: no row of the log is ever updated. Keys and terms are compared by bytes."""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

from audit.merkle import Frontier

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BYTEWISE = (
    ("log_spent_keys", "key"),
    ("log_closed_keys", "key"),
    ("log_postings", "term"),
    ("log_terms", "term"),
)

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "log_checkpoints_with_frontier",
        sa.Column("size", BIG, primary_key=True, autoincrement=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )
    _copy()
    op.drop_table("log_checkpoints")
    op.rename_table("log_checkpoints_with_frontier", "log_checkpoints")
    op.drop_table("log_head")
    if postgresql:
        for table, column in BYTEWISE:
            # By bytes, as SQLite: faster than by a language's order, and the same in every deployment.
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar COLLATE "C"')
        op.execute("ALTER INDEX log_checkpoints_with_frontier_pkey RENAME TO log_checkpoints_pkey")
        op.execute(
            "CREATE TRIGGER log_checkpoints_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON log_checkpoints "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER log_checkpoints_{act.lower()} BEFORE {act} ON log_checkpoints "
            "BEGIN SELECT RAISE(ABORT, 'the log only grows: log_checkpoints'); END"
        )


def _copy() -> None:
    """Every checkpoint with the frontier that the entries give it."""
    connection, frontier = op.get_bind(), Frontier()
    notes = dict(connection.execute(sa.text("SELECT size, note FROM log_checkpoints")).all())
    target = sa.table("log_checkpoints_with_frontier", *(sa.column(name) for name in ("size", "frontier", "note")))
    statement = sa.text('SELECT leaf FROM log_entries ORDER BY "index"').execution_options(stream_results=True)
    leaves = connection.execute(statement)
    rows = []
    for (leaf,) in leaves:
        frontier.push(sha256(b"\x00" + bytes(leaf)).digest())
        if (note := notes.pop(frontier.size, None)) is not None:
            rows.append({"size": frontier.size, "frontier": frontier.hashes, "note": note})
    if notes:
        raise RuntimeError("checkpoints without their entries: run 'accord audit verify' of the version before")
    for at in range(0, len(rows), 5_000):
        connection.execute(target.insert(), rows[at : at + 5_000])
