"""Alembic's entry: runs the revisions on the connection that `sparekey.storage.schema` hands over."""

from alembic import context

from sparekey.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller's transaction holds all steps: SQLite and PostgreSQL both roll DDL back.
    transactional_ddl=True,
)
context.run_migrations()
