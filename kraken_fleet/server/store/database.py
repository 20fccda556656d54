"""The database file: opened, checked, and held by one server at a time.

Everything runs on one connection in one thread, so every request's changes are one transaction and nothing ever waits
for a lock. The file is in WAL mode with `synchronous=NORMAL`: what was answered survives the death of the process at
any moment (`kill -9`); only a power cut or a kernel crash can take the last moments.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, StaticPool, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from kraken_fleet.errors import DataDirectoryError
from kraken_fleet.server.store.migration import OLDEST_VERSION, bring_up, keep_copy
from kraken_fleet.server.store.tables import SCHEMA_VERSION, Base

log = logging.getLogger(__name__)

DATABASE = "server.sqlite"
LOCK = "lock"
# There while the data of a restored backup are moved in.
UNFINISHED_RESTORE = "restore.unfinished"
# "KrFl": tells our file from any other SQLite file.
_APPLICATION_ID = 0x4B72466C
# SQLite checks foreign keys only where a connection asks for it, and keeps 2 MB of pages by default; a negative
# cache_size is in KiB.
_COMFORT = ("foreign_keys = ON", "cache_size = -16000")
# What SQLite says when it is not the file's contents that are wrong.
_NOT_WRITTEN = ("full", "readonly", "unable to open", "disk I/O")
_WORTH_FOLDING = 4 * 1024 * 1024


class Database:
    """An open database.

    Args:
        directory: the server's data directory; made when it is not there.
        max_bytes: how large the file may grow; None for no limit of its own.

    Raises:
        DataDirectoryError: another server has it, it cannot be written, it is damaged, or of another version.
    """

    def __init__(self, directory: Path, max_bytes: int | None = None) -> None:
        self._lock = claim(directory)
        self.path = directory / DATABASE
        try:
            refuse_half_restored(directory)
            with telling(self.path):
                if not self.path.exists():
                    _make(self.path)
                self.engine = _open(self.path, max_bytes)
        except BaseException:
            os.close(self._lock)
            raise
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session whose changes, if any, are thrown away."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that is committed at the end, or rolled back by an exception."""
        with self._sessions() as session, session.begin():
            yield session

    def on_flush(self, listener: Any) -> None:
        """Call `listener(session, context)` after each flush."""
        event.listen(self._sessions, "after_flush", listener)

    def fold(self) -> None:
        """Move what has gathered in the write-ahead log into the file, when that is worth it.

        On a connection of its own, so that it can run in another thread: a busy disk may take seconds over it, and no
        agent should wait for that.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size > _WORTH_FOLDING:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Fold the write-ahead log into the file and unlock the directory."""
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        self.engine.dispose()
        os.close(self._lock)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Say in clear words what SQLite has against a database file.

    Raises:
        DataDirectoryError: there is no room, it cannot be written, or it is damaged.
    """
    try:
        yield
    except DatabaseError as error:
        reason = str(error.orig)
        if isinstance(error, OperationalError) and any(word in reason for word in _NOT_WRITTEN):
            hint = "Make room on its disk, and see to it that this account may write there"
            raise DataDirectoryError(f"The database cannot be written: {reason}", where=str(path), hint=hint) from error
        raise _damaged(path, reason) from error
    except OSError as error:
        raise _unusable(path, error) from error


def claim(directory: Path) -> int:
    """Lock a data directory, which is made when it is not there; return the descriptor that holds the lock.

    Raises:
        DataDirectoryError: a server or a restore has it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(directory, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        hint = "Stop the other server, or choose another directory with --data-dir"
        raise DataDirectoryError("Another server uses this directory", where=str(directory), hint=hint) from error
    return handle


def version_of(copy: Path, *, named: Path) -> int:
    """Check a copy of a database, which no server uses, and return its version.

    Args:
        named: what errors name, for the copy has no name that a person knows.

    Raises:
        DataDirectoryError: it is damaged, another program's, or of a version that this program does not know.
    """
    engine = create_engine(f"sqlite:///{copy}")
    try:
        with telling(named):
            return _check(engine, named)
    finally:
        engine.dispose()


def refuse_half_restored(directory: Path) -> None:
    """Refuse a data directory into which a backup has been moved in part.

    Raises:
        DataDirectoryError: a restore was interrupted.
    """
    if (directory / UNFINISHED_RESTORE).exists():
        hint = "Restore the backup again with --force; what was there before is in the directory beside it"
        raise DataDirectoryError("A restore of a backup was interrupted", where=str(directory), hint=hint)


def _make(path: Path) -> None:
    """Make the file of a first start, whole or not at all, and readable by its owner only.

    So a file that is empty or has no tables is never one that a first start left behind: it is damaged.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = create_engine(f"sqlite:///{fresh}")
    try:
        with engine.begin() as connection:
            Base.metadata.create_all(connection)
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
            connection.execute(text(f"PRAGMA application_id = {_APPLICATION_ID}"))
    finally:
        engine.dispose()
    fresh.replace(path)


def _open(path: Path, max_bytes: int | None) -> Engine:
    if path.stat().st_size == 0:
        raise _damaged(path, "it is empty")
    engine = create_engine(
        # One connection for all sessions. Python's own handling of transactions is switched off (isolation_level),
        # since it begins none before a SELECT; the listener for `begin` does that.
        f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )
    event.listen(engine, "connect", lambda connection, _record: _configure(connection, max_bytes))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        found = _check(engine, path)
        if found != SCHEMA_VERSION:
            engine.dispose()  # its connection holds the file in memory as it was
            kept = keep_copy(path, found)
            bring_up(path, found)
            log.warning("%s is the database as it was before", kept)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _configure(connection: sqlite3.Connection, max_bytes: int | None) -> None:
    # wal_autocheckpoint = 0: a checkpoint within a commit would keep agents waiting for the disk; `fold` does it in a
    # thread.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", *_COMFORT):
        connection.execute(f"PRAGMA {pragma}")
    if max_bytes is not None:
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(max_bytes // page_size, 1)}")


def _check(engine: Engine, path: Path) -> int:
    with engine.connect() as connection:
        if connection.exec_driver_sql("PRAGMA application_id").scalar_one() != _APPLICATION_ID:
            hint = "Choose another directory with --data-dir"
            raise DataDirectoryError("This is another program's database", where=str(path), hint=hint)
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if not OLDEST_VERSION <= found <= SCHEMA_VERSION:
            message = f"The database has version {found}, this program needs version {SCHEMA_VERSION}"
            hint = "Start the kraken-fleet that made it, or choose a fresh directory with --data-dir"
            raise DataDirectoryError(message, where=str(path), hint=hint)
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise _damaged(path, str(verdict))
    return found


def _unusable(path: Path, error: OSError) -> DataDirectoryError:
    hint = "Choose a directory with room that you can write with --data-dir"
    return DataDirectoryError(f"The data directory cannot be used: {error.strerror}", where=str(path), hint=hint)


def _damaged(path: Path, reason: str) -> DataDirectoryError:
    hint = "Put a copy back, or move the file away to start afresh"
    return DataDirectoryError(f"The database is damaged: {reason}", where=str(path), hint=hint)
