"""One module for each version of the database, from the oldest that is brought up.

A revision says with alembic's operations what changes from the version before. It names no table of store.tables: those
are as they are today, and a revision must do the same for ever.
"""
