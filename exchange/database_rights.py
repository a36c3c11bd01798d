"""What the application's own role may do on PostgreSQL, and who may erase.

The log's tables belong to whoever ran ``accord db migrate``. A role that serves needs to read and to add there, and
nothing else: even if the process is taken over, the database itself refuses to rewrite a line. Retention runs erase:
they connect as the owner. On SQLite there are no roles; the triggers alone stand there.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from audit.tables import Base as LogTables
from consent.tables import Base as ConsentTables
from exchange.database import PACKAGES
from exchange.tables import Base as RegistryTables

REWRITES = ("UPDATE", "DELETE", "TRUNCATE")
READ_ONLY = "log_erased"
"""What only a retention run adds to: whoever serves cannot even prepare an erasure."""
ERASED_FROM = ("log_details", "log_lookups", "log_spent_keys", "log_closed_keys")
"""The log's tables that a retention run deletes from."""
BLANKED_IN = ("consent_grants", "consent_codes", "consent_refresh_tokens", "consent_deliveries", "consent_requests")
"""Consent's tables in which it leaves dead rows."""

RECLAIM_SECONDS = 600
"""How long one table's vacuum may take."""

_ROLE = "SELECT 1 FROM pg_roles WHERE rolname = :role"
_SEQUENCES = (
    "SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a' "
    "JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S' AND t.relname = ANY(:tables)"
)
_HAS = "SELECT has_table_privilege(CAST(:role AS name), CAST(:table AS text), :right)"
_MAY = "SELECT has_table_privilege(CAST(:table AS text), :right)"


class RightsRefused(Exception):
    """The database's rights are not as they should be; the message says what to do."""


def grant_application(engine: Engine, role: str) -> None:
    """Give an existing role what ``accord serve`` needs, and take from it whatever more it had on these tables.

    All or nothing. Raises :class:`RightsRefused`, also for a role that could rewrite the log all the same.
    """
    if engine.dialect.name != "postgresql":
        raise RightsRefused("roles are PostgreSQL's: ACCORD_DATABASE_URL names a SQLite file")
    try:
        with engine.begin() as connection:
            if not connection.execute(text(_ROLE), {"role": role}).all():
                raise RightsRefused(f"no role {role!r} in this database: make it with CREATE ROLE ... LOGIN")
            for statement in _statements(connection, role):
                # As it stands: a colon in a name is no parameter.
                connection.exec_driver_sql(statement)
            _check_given(connection, role)
    except SQLAlchemyError as error:
        raise RightsRefused(
            f"the database refused ({type(error.__cause__ or error).__name__}): run this as the owner of the tables, "
            "after 'accord db migrate'"
        ) from None


def check_may_erase(engine: Engine) -> None:
    """Raise :class:`RightsRefused` where this connection may not delete what a retention run erases."""
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        allowed = (
            connection.execute(text(_MAY), {"table": table, "right": "DELETE"}).scalar_one() for table in ERASED_FROM
        )
        if not all(allowed):
            raise RightsRefused(
                "this database role may not erase, as it should be while serving: run 'accord audit retain' with the "
                "owner of the tables in ACCORD_DATABASE_URL"
            )


def reclaim(engine: Engine) -> bool:
    """Let the database let go of what was erased; false where readers kept it from doing so yet.

    SQLite overwrote the rows (``secure_delete``): copying the write-ahead log into the file and cutting it leaves no
    older page. PostgreSQL's VACUUM frees the dead rows; their bytes are overwritten as the space is used again, and its
    own write-ahead log and backups keep them as long as the operator has told them to.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET statement_timeout = '{RECLAIM_SECONDS}s'"))
            for table in (*ERASED_FROM, *BLANKED_IN):
                connection.execute(text(f"VACUUM {table}"))
            connection.invalidate()
            return True
        connection.execute(text("PRAGMA busy_timeout=1000"))
        busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
        connection.invalidate()
        return not busy


def log_tables() -> list[str]:
    """The tables of the log."""
    return sorted(LogTables.metadata.tables)


def _statements(connection: Connection, role: str) -> Iterator[str]:
    quoted = connection.dialect.identifier_preparer.quote_identifier
    to, schema = quoted(role), quoted(str(connection.execute(text("SELECT current_schema()")).scalar_one()))
    database = quoted(str(connection.execute(text("SELECT current_database()")).scalar_one()))
    log, grows = (", ".join(map(quoted, some)) for some in (log_tables(), sorted({*log_tables()} - {READ_ONLY})))
    tables = sorted({**ConsentTables.metadata.tables, **RegistryTables.metadata.tables})
    others = ", ".join(map(quoted, tables))
    versions = ", ".join(quoted(f"alembic_version_{package}") for package in PACKAGES)
    yield f"REVOKE ALL ON {log}, {others}, {versions} FROM {to}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {to}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {to}"
    yield f"GRANT SELECT ON {log} TO {to}"
    yield f"GRANT INSERT ON {grows} TO {to}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {others} TO {to}"
    for sequence in connection.execute(text(_SEQUENCES), {"tables": tables}).scalars():
        yield f"GRANT USAGE, SELECT ON SEQUENCE {quoted(sequence)} TO {to}"
    yield f"GRANT SELECT ON {versions} TO {to}"


def _check_given(connection: Connection, role: str) -> None:
    """Who gives what is not hers to give is only warned by PostgreSQL: what counts is what the role has then."""
    for table in log_tables():
        has = {
            right: connection.execute(text(_HAS), {"role": role, "table": table, "right": right}).scalar_one()
            for right in ("SELECT", "INSERT", *REWRITES)
        }
        if not has["SELECT"] or not (has["INSERT"] or table == READ_ONLY):
            raise RightsRefused(f"nothing was given on {table}: run this as the owner of the tables")
        if too_much := [right for right in REWRITES if has[right]]:
            raise RightsRefused(
                f"{role!r} may still {too_much[0]} {table}, as a superuser, as its owner, or through a role that it is "
                "a member of: give the application a role of its own"
            )
