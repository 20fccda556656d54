"""The database file: opened, checked, and held by one server at a time.

Everything runs on one connection in one thread, so every request's changes are one transaction and nothing ever waits
for a lock. The file is in WAL mode with `synchronous=NORMAL`: what was answered survives the death of the process at
any moment (`kill -9`); only a power cut or a kernel crash can take the last moments.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, StaticPool, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from kraken_fleet.errors import DataDirectoryError
from kraken_fleet.server.store.tables import SCHEMA_VERSION, Base

_FILE = "server.sqlite"
# "KrFl": tells our file from any other SQLite file.
_APPLICATION_ID = 0x4B72466C
_COMFORT = ("foreign_keys = ON", "cache_size = -16000")
_WORTH_FOLDING = 4 * 1024 * 1024


class Database:
    """An open database.

    Args:
        directory: the server's data directory; made when it is not there.

    Raises:
        DataDirectoryError: another server has it, it cannot be written, it is damaged, or of another version.
    """

    def __init__(self, directory: Path) -> None:
        self._lock = _claim(directory)
        self.path = directory / _FILE
        try:
            self.engine = _open(self.path)
        except BaseException:
            os.close(self._lock)
            raise
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._prepare()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes, if any, are thrown away."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back by an exception."""
        with self._sessions() as session, session.begin():
            yield session

    def on_flush(self, listener: Any) -> None:
        """Calls `listener(session, context)` after each flush."""
        event.listen(self._sessions, "after_flush", listener)

    def fold(self) -> None:
        """Moves what has gathered in the write-ahead log into the file, when that is worth it.

        On a connection of its own, so that it can run in another thread: a busy disk may take seconds over it, and no
        agent should wait for that.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size > _WORTH_FOLDING:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Folds the write-ahead log into the file and lets go of the directory."""
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        self.engine.dispose()
        os.close(self._lock)

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            if connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one():
                return
            Base.metadata.create_all(connection)
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
            connection.execute(text(f"PRAGMA application_id = {_APPLICATION_ID}"))


def _claim(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        hint = "choose a directory that you can write with --data-dir"
        message = f"the data directory cannot be used: {error.strerror}"
        raise DataDirectoryError(message, where=str(directory), hint=hint) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        hint = "stop the other server, or choose another directory with --data-dir"
        raise DataDirectoryError("another server uses this directory", where=str(directory), hint=hint) from error
    return handle


def _open(path: Path) -> Engine:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(
        f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False, "isolation_level": None}
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        _check(engine, path)
    except DatabaseError as error:
        engine.dispose()
        raise _damaged(path, str(error.orig)) from error
    return engine


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", *_COMFORT):
        connection.execute(f"PRAGMA {pragma}")


def _check(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        empty = not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if empty:
            return
        if connection.exec_driver_sql("PRAGMA application_id").scalar_one() != _APPLICATION_ID:
            hint = "choose another directory with --data-dir"
            raise DataDirectoryError("this is another program's database", where=str(path), hint=hint)
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if found != SCHEMA_VERSION:
            message = f"the database has version {found}, this program needs version {SCHEMA_VERSION}"
            hint = "start the kraken-fleet that made it, or choose a fresh directory with --data-dir"
            raise DataDirectoryError(message, where=str(path), hint=hint)
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise _damaged(path, str(verdict))


def _damaged(path: Path, reason: str) -> DataDirectoryError:
    hint = "put a copy back, or move the file away to start afresh"
    return DataDirectoryError(f"the database is damaged: {reason}", where=str(path), hint=hint)
