"""What entries are found by, what may be erased, what witnesses signed."""

import json

import sqlalchemy as sa
from alembic import op

from audit.blocks import BLOCK, OpenBlock

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GROW_ONLY = ("log_erased", "log_blocks", "log_postings", "log_terms", "log_cosignatures")
ERASABLE = ("log_details", "log_lookups")

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _key(name: str, kind: sa.types.TypeEngine = BIG) -> sa.Column:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table("log_erased", _key("index"), sa.Column("by", BIG, nullable=False))
    op.create_table(
        "log_blocks",
        _key("block"),
        sa.Column("first_time", BIG, nullable=False),
        sa.Column("last_time", BIG, nullable=False),
    )
    op.create_table(
        "log_postings",
        _key("term", sa.String()),
        _key("block"),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table("log_terms", _key("term", sa.String()), sa.Column("block", BIG, nullable=False))
    op.create_table("log_lookups", _key("segment"), _key("key"), _key("index"), sqlite_with_rowid=False)
    op.create_table(
        "log_cosignatures", _key("size"), _key("witness", sa.String()), sa.Column("line", sa.String, nullable=False)
    )
    if op.get_bind().dialect.name == "postgresql":
        # Every number of the log has 8 bytes, as its writer sends them.
        op.alter_column("log_tiles", "level", type_=sa.BigInteger)
    _fill()
    op.drop_index("log_details_by_citizen", "log_details")
    op.drop_column("log_details", "citizen")
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _fill() -> None:
    """Index the blocks that are full already."""
    entries = sa.text(
        'SELECT e.leaf, d.detail FROM log_entries e LEFT JOIN log_details d ON d."index" = e."index" '
        'WHERE e."index" >= :first AND e."index" < :first + :count ORDER BY e."index"'
    )
    connection, block, known = op.get_bind(), OpenBlock(0), set()
    size = connection.execute(sa.text("SELECT size FROM log_head")).scalar_one()
    for first in range(0, size, BLOCK):
        found = connection.execute(entries, {"first": first, "count": BLOCK}).all()
        rows = block.extend([(json.loads(leaf), json.loads(detail) if detail else {}) for leaf, detail in found], known)
        _insert("log_blocks", ("block", "first_time", "last_time"), rows.blocks)
        _insert("log_postings", ("term", "block", "entries"), rows.postings)
        _insert("log_terms", ("term", "block"), rows.terms)
        _insert("log_lookups", ("segment", "key", "index"), rows.lookups)


def _insert(table: str, columns: tuple[str, ...], rows: list[tuple]) -> None:
    if rows:
        target = sa.table(table, *(sa.column(name) for name in columns))
        op.bulk_insert(target, [dict(zip(columns, row, strict=True)) for row in rows])


def _guard_sqlite() -> None:
    for table in GROW_ONLY:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the log only grows: {table}'); END"
            )
    op.execute("DROP TRIGGER log_details_delete")
    op.execute(
        "CREATE TRIGGER log_lookups_update BEFORE UPDATE ON log_lookups "
        "BEGIN SELECT RAISE(ABORT, 'the log only grows: log_lookups'); END"
    )
    for table in ERASABLE:
        op.execute(
            f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} "  # noqa: S608  # tables of ours
            'WHEN NOT EXISTS (SELECT 1 FROM log_erased WHERE "index" = old."index") '
            f"BEGIN SELECT RAISE(ABORT, 'only what a retention run names is erased: {table}'); END"
        )


def _guard_postgresql() -> None:
    for table in GROW_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
        )
    op.execute(
        "CREATE FUNCTION log_erases_what_is_named() RETURNS trigger LANGUAGE plpgsql AS "
        '$$ BEGIN IF EXISTS (SELECT 1 FROM log_erased WHERE "index" = OLD."index") THEN RETURN OLD; END IF; '
        "RAISE EXCEPTION 'only what a retention run names is erased: %', TG_TABLE_NAME; END $$"
    )
    op.execute("DROP TRIGGER log_details_grows ON log_details")
    for table in ERASABLE:
        op.execute(
            f"CREATE TRIGGER {table}_grows BEFORE UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_erased BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION log_erases_what_is_named()"
        )
