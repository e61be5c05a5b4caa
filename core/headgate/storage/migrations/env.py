"""How Alembic runs our migrations: on the connection and in the transaction that `schema.migrate` gives it."""

from __future__ import annotations

from alembic import context

from headgate.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite can, when BEGIN is said in words, and our engine says it
)
with context.begin_transaction():
    context.run_migrations()
