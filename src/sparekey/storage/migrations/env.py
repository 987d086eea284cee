"""Alembic's entry: runs the revisions on the connection that `sparekey.storage.schema` hands over."""

from alembic import context

from sparekey.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # All steps are in the caller's transaction. SQLite and PostgreSQL both roll back DDL.
    transactional_ddl=True,
)
context.run_migrations()
