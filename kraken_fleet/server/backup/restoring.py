"""Puts a backup into a data directory, all of it or nothing."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kraken_fleet.errors import BackupError
from kraken_fleet.server.backup.manifest import CHUNK, MANIFEST, Entry, Manifest, copy, damaged, read_manifest
from kraken_fleet.server.store.database import DATABASE, LOCK, UNFINISHED_RESTORE, claim, telling, version_of
from kraken_fleet.server.store.migration import bring_up
from kraken_fleet.server.store.tables import SCHEMA_VERSION

_STAGE = ".restore"
# What an empty data directory may have: a file system of its own has lost+found.
_NOTHING = (LOCK, _STAGE, "lost+found")
_LARGEST_MANIFEST = 64 * CHUNK
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Args:
        before: the directory with what was in the data directory before; None when it was empty.
    """

    manifest: Manifest
    before: Path | None


def restore(archive: Path, data_dir: Path, *, force: bool = False) -> Restored:
    """Put a backup into a data directory; each byte is checked before anything there changes.

    Args:
        data_dir: made when it is not there.
        force: move what is in the directory into a new one beside it.

    Raises:
        BackupError: the backup cannot be read, is damaged, or is of a newer version; or the directory is not empty.
        DataDirectoryError: a server uses the directory, or it cannot be written.
    """
    if not archive.is_file():
        raise BackupError("There is no such file", where=str(archive), hint="Name a file that `serve backup` made")
    data_dir = data_dir.resolve()
    # Held to the end: no server starts here meanwhile.
    lock = claim(data_dir)
    stage = data_dir / _STAGE
    try:
        old = [path for path in data_dir.iterdir() if path.name not in _NOTHING]
        if old and not force:
            hint = "Name a directory that is empty or not there, or use --force, which keeps the old data beside it"
            raise BackupError("The data directory is not empty", where=str(data_dir), hint=hint)
        shutil.rmtree(stage, ignore_errors=True)  # of a restore that was killed
        stage.mkdir(mode=0o700)
        manifest = _unpack(archive, stage)
        return Restored(manifest, _exchange(data_dir, stage, old))
    except OSError as error:
        where = error.filename or str(data_dir)
        hint = "Run this as the account of the server, and see to it that the disk has room"
        raise BackupError(f"The backup cannot be restored: {error.strerror}", where=where, hint=hint) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _unpack(archive: Path, stage: Path) -> Manifest:
    """Write the files of a backup into an empty directory.

    Nothing but the regular files that the manifest names is written, so links and paths out of the directory have no
    effect.
    """
    with _telling(archive), gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as members:
        manifest = _manifest_of(members, archive)
        missing = dict(manifest.files)
        for member in iter(members.next, None):
            wanted = missing.pop(member.name, None)
            if wanted is None or not member.isreg():
                raise damaged(archive, f"{member.name!r} is not a file of the manifest, or is there twice")
            if _write(members, member, wanted, stage) != wanted:
                raise damaged(archive, f"{member.name} is not what was backed up")
        while packed.read(CHUNK):  # to the end, where gzip has its own checksum of everything
            pass
    if missing:
        raise damaged(archive, f"{', '.join(sorted(missing))} is missing")
    version = version_of(stage / DATABASE, named=archive)
    if version != manifest.database_version:
        raise damaged(archive, f"its database has version {version}, not {manifest.database_version}")
    if version != SCHEMA_VERSION:
        # The archive is the copy as it was before.
        with telling(archive):
            bring_up(stage / DATABASE, version)
    return manifest


def _manifest_of(members: tarfile.TarFile, archive: Path) -> Manifest:
    first = members.next()
    content = members.extractfile(first) if first and first.name == MANIFEST and first.isreg() else None
    if content is None:
        raise damaged(archive, "it does not begin with a manifest")
    return read_manifest(content.read(_LARGEST_MANIFEST), archive)


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, wanted: Entry, stage: Path) -> Entry | None:
    source = members.extractfile(member)
    if source is None or member.size != wanted.size:
        return None
    path = stage / member.name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        written = copy(source, file, wanted.size)
        file.flush()
        os.fsync(file.fileno())
    return written


@contextmanager
def _telling(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise damaged(archive, str(error)) from error


def _exchange(data_dir: Path, stage: Path, old: list[Path]) -> Path | None:
    """Move the old data out and the new ones in.

    While that is going on, and if it is interrupted, a marker keeps servers from starting with half of each.
    """
    before = _directory_beside(data_dir) if old else None
    marker = data_dir / UNFINISHED_RESTORE
    marker.touch(mode=0o600)
    _sync(data_dir)
    for path in old:
        if before and path != marker:
            shutil.move(path, before / path.name)  # not rename: the data directory may be a file system of its own
    for path in list(stage.iterdir()):
        path.rename(data_dir / path.name)
    _sync(data_dir)
    marker.unlink()
    return before


def _directory_beside(data_dir: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    beside = data_dir.with_name(f"{data_dir.name}.before-{stamp}")
    try:
        beside.mkdir(mode=0o700)
    except OSError as error:
        message = f"The old data cannot be kept beside the data directory: {error.strerror}"
        hint = "Move the content of the data directory away, then restore without --force"
        raise BackupError(message, where=str(beside), hint=hint) from error
    return beside


def _sync(directory: Path) -> None:
    """Have the names in a directory written to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
