"""Runs revisions on the connection that store.migration hands over, in its transaction. Alembic executes this file."""

from __future__ import annotations

from alembic import context

# SQLite changes hardly anything of a table that is there: `render_as_batch` makes a new one and moves its rows.
context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
