"""Run Alembic's steps on the connection that `cosyrt.service.migrate` has opened, in its transaction."""

from __future__ import annotations

from alembic import context

from cosyrt.service.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
