"""Makes a backup of a data directory, whether a server uses it or not."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from kraken_fleet import __version__
from kraken_fleet.errors import BackupError
from kraken_fleet.server.backup.manifest import DIRECTORIES, FILES, MANIFEST, Entry, Manifest, copy
from kraken_fleet.server.store.database import DATABASE, refuse_half_restored, version_of

_AS_THE_ACCOUNT = "Run this as the account of the server, and see to it that the disk has room"


def back_up(data_dir: Path, archive: Path, *, force: bool = False) -> Manifest:
    """Write one archive with all that a server needs of its data directory; a server may be using it.

    The archive is written beside its place and then moved there, so it is there whole or not at all. Only its owner
    can read it.

    Args:
        force: replace a file that is there.

    Raises:
        BackupError: the archive is there already or cannot be written, or a file cannot be copied.
        DataDirectoryError: the database is damaged, another program's, or of a version that this program does not know;
            or a restore was interrupted.
    """
    if archive.exists() and not force:
        raise BackupError("The file is there already", where=str(archive), hint="Name another file, or use --force")
    refuse_half_restored(data_dir)
    if not (data_dir / DATABASE).is_file():
        hint = "Name the server's data directory with --data-dir"
        raise BackupError("There is no database of a server", where=str(data_dir), hint=hint)
    try:
        # Beside the archive, not in /tmp: it may be large, and moving it to its place must not copy it.
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".kraken-fleet-backup-") as temporary:
            return _make(data_dir, archive, Path(temporary), datetime.now(UTC).replace(microsecond=0))
    except sqlite3.Error as error:
        where = str(data_dir / DATABASE)
        raise BackupError(f"The database cannot be copied: {error}", where=where, hint=_AS_THE_ACCOUNT) from error
    except OSError as error:
        where = error.filename or str(archive)
        raise BackupError(f"The backup cannot be made: {error.strerror}", where=where, hint=_AS_THE_ACCOUNT) from error


def _make(data_dir: Path, archive: Path, temporary: Path, now: datetime) -> Manifest:
    staged = temporary / "files"
    staged.mkdir()
    # The database first: a tool's file is there before the database names it, so no tool is without its file.
    _copy_database(data_dir / DATABASE, staged / DATABASE)
    version = version_of(staged / DATABASE, named=data_dir / DATABASE)
    files = {DATABASE: _entry_of(staged / DATABASE)}
    for name in _other_files(data_dir):
        if copied := _copy_file(data_dir / name, staged / name):
            files[name] = copied
    manifest = Manifest(now.isoformat(), __version__, version, files)
    packed = temporary / "archive"
    with os.fdopen(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        _pack(manifest, staged, now, file)
        file.flush()
        os.fsync(file.fileno())
    packed.replace(archive)
    return manifest


def _copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment.

    SQLite's own backup reads in a transaction. A server goes on writing meanwhile, into its write-ahead log.
    """
    uri = f"{source.resolve().as_uri()}?mode=rw"  # mode=rw: never make a database where there is none
    with closing(sqlite3.connect(uri, uri=True)) as database, closing(sqlite3.connect(target)) as made:
        database.backup(made)


def _entry_of(path: Path) -> Entry:
    with path.open("rb") as file:
        return Entry(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _other_files(data_dir: Path) -> Iterator[str]:
    """Yield the paths of the files, below the data directory, and leave out those that are still being written."""
    yield from (name for name in FILES if (data_dir / name).is_file())
    for directory in DIRECTORIES:
        if not (data_dir / directory).is_dir():
            continue
        for folder, folders, names in os.walk(data_dir / directory, onerror=_fail):
            links = [path for path in (Path(folder, name) for name in (*folders, *names)) if path.is_symlink()]
            if links:
                raise BackupError("This is a link; a backup has no links", where=str(links[0]), hint="Move it away")
            yield from (str(Path(folder, name).relative_to(data_dir)) for name in names if not name.startswith("."))


def _copy_file(source: Path, target: Path) -> Entry | None:
    """Copy a file as long as it is now, for it may be growing; return None when it is gone, as a rotated log is."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BackupError("This is not a file; a backup has files only", where=str(source), hint="Move it away")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as made:
            return copy(file, made, found.st_size)


def _pack(manifest: Manifest, staged: Path, now: datetime, file: object) -> None:
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:  # type: ignore[call-overload]
        content = manifest.as_json()
        archive.addfile(_member(MANIFEST, len(content), now), BytesIO(content))
        for name, entry in manifest.files.items():
            with (staged / name).open("rb") as source:
                archive.addfile(_member(name, entry.size, now), source)


def _member(name: str, size: int, now: datetime) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(now.timestamp())
    return member


def _fail(error: OSError) -> None:
    """Raise it: os.walk would leave out a directory that cannot be read, and say nothing."""
    raise error
