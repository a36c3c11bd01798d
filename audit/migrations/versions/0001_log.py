"""The append-only log."""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GROW_ONLY = ("log_entries", "log_details", "log_tiles", "log_checkpoints", "log_spent_keys", "log_closed_keys")

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _index() -> sa.Column[int]:
    return sa.Column("index", BIG, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table("log_entries", _index(), sa.Column("leaf", sa.LargeBinary, nullable=False))
    op.create_table(
        "log_details",
        _index(),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("detail", sa.LargeBinary, nullable=False),
        sa.Column("citizen", sa.String),
    )
    op.create_index("log_details_by_citizen", "log_details", ["citizen", "index"])
    op.create_table(
        "log_tiles",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tile", BIG, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("size", BIG, primary_key=True, autoincrement=False),
        sa.Column("note", sa.String, nullable=False),
    )
    for name in ("log_spent_keys", "log_closed_keys"):
        op.create_table(name, sa.Column("key", sa.String, primary_key=True), sa.Column("index", BIG, nullable=False))
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
    )
    head = sa.table("log_head", *(sa.column(name) for name in ("id", "size", "frontier", "root")))
    op.execute(head.insert().values(id=1, size=0, frontier=b"", root=sha256(b"").digest()))
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    # DELETE triggers also stop INSERT OR REPLACE, as connections set recursive_triggers=ON.
    for table in GROW_ONLY:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the log only grows: {table}'); END"
            )
    op.execute(
        "CREATE TRIGGER log_head_delete BEFORE DELETE ON log_head "
        "BEGIN SELECT RAISE(ABORT, 'the log only grows: log_head'); END"
    )
    op.execute(
        "CREATE TRIGGER log_head_forward BEFORE UPDATE ON log_head WHEN new.size <= old.size "
        "BEGIN SELECT RAISE(ABORT, 'the log only grows: log_head'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION log_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the log only grows: %', TG_TABLE_NAME; END $$"
    )
    for table in GROW_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
        )
    op.execute(
        "CREATE TRIGGER log_head_stays BEFORE DELETE OR TRUNCATE ON log_head "
        "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
    )
    op.execute(
        "CREATE TRIGGER log_head_forward BEFORE UPDATE ON log_head FOR EACH ROW WHEN (new.size <= old.size) "
        "EXECUTE FUNCTION log_only_grows()"
    )
