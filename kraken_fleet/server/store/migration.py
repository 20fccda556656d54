"""Brings a database of an older version up to this one, by the revisions in `migrations`.

The version is SQLite's `user_version`, which a start reads without alembic: only an older database needs that.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, event

from kraken_fleet.errors import DataDirectoryError
from kraken_fleet.server.store.tables import SCHEMA_VERSION

OLDEST_VERSION = 2

log = logging.getLogger(__name__)
_REVISIONS = Path(__file__).parent / "migrations"


def revision_of(version: int) -> str:
    """Return the name that alembic knows a version of the database by."""
    return f"{version:04}"


def copy_of(database: Path, version: int) -> Path:
    """Return where the copy of an older database is kept; its name is not that of a file of the database itself."""
    return database.with_name(f"{database.stem}-version-{version}{database.suffix}")


def keep_copy(database: Path, version: int) -> Path:
    """Copy an older database beside itself, whole or not at all, in the place of an earlier copy of that version.

    Raises:
        DataDirectoryError: it cannot be copied.
    """
    kept = copy_of(database, version)
    fresh = kept.with_name(f"{kept.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(fresh)) as target:
            source.backup(target)
        fresh.replace(kept)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            fresh.unlink()
        message = f"The database has version {version} and cannot be copied before it is brought up: {error}"
        hint = "Make room for a copy on its disk, and see to it that this account may write there"
        raise DataDirectoryError(message, where=str(database), hint=hint) from error
    return kept


def bring_up(database: Path, version: int) -> None:
    """Bring an older database that nobody else uses up to this program's version: all of it or nothing.

    Args:
        version: the one that it has.

    Raises:
        sqlalchemy.exc.DatabaseError: SQLite has something against it; the database is as it was.
        DataDirectoryError: rows would name others that are not there; the database is as it was.
    """
    # Imported here: it takes long to import, and hardly any start has to do this.
    from alembic import command
    from alembic.config import Config

    # Foreign keys are not enforced on this connection: a table that is made anew is dropped in between.
    engine = create_engine(f"sqlite:///{database}", connect_args={"isolation_level": None})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(_REVISIONS).replace("%", "%%"))
            command.stamp(config, revision_of(version), purge=True)
            command.upgrade(config, revision_of(SCHEMA_VERSION))
            # The version is kept in one place, so that a database is the same whether it was brought up or made anew.
            connection.exec_driver_sql("DROP TABLE alembic_version")
            _refuse_dangling(connection, database)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    finally:
        engine.dispose()
    log.warning("%s: brought up from version %s to version %s", database, version, SCHEMA_VERSION)


def _refuse_dangling(connection: Connection, database: Path) -> None:
    found = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if found is not None:
        message = f"The database cannot be brought up: a row of {found[0]} names one of {found[2]} that is not there"
        hint = "Start the kraken-fleet that made it, or restore a backup"
        raise DataDirectoryError(message, where=str(database), hint=hint)
