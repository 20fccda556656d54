"""Revisions of the embedded server's database, for alembic: `env` runs them, `versions` has one module for each."""
