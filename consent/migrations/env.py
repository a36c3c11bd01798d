"""Alembic's environment for consent's tables."""

from alembic import context

from consent.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table="alembic_version_consent",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
