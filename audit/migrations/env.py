"""Alembic's environment for the log's tables."""

from alembic import context

from audit.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table="alembic_version_audit",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
