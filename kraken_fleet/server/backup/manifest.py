"""What a backup says of itself: when and by what it was made, and the size and checksum of each of its files.

The manifest is the first member of the archive, so that a backup that cannot be used is refused before anything of it
is written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from kraken_fleet.errors import BackupError
from kraken_fleet.server.store.database import DATABASE
from kraken_fleet.server.store.migration import OLDEST_VERSION
from kraken_fleet.server.store.tables import SCHEMA_VERSION

MANIFEST = "manifest.json"
# What a server needs of its data directory beside its database: uploaded tools, the console's history and ignored
# agents, its audit log, and the program for Windows hosts that somebody has put there. kkagent and kktool are built
# again when they are asked for.
DIRECTORIES = ("tools", "console")
FILES = ("bundles/nssm-2.24.zip",)
CHUNK = 1024 * 1024
# Of this form of archive; a later one gets a higher number when this program could not read it.
_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is.

    Args:
        made: when, ISO 8601, UTC.
        kraken_fleet: the version of the program that made it.
        database_version: see store.migration.
        files: what it has, by path below the data directory.
    """

    made: str
    kraken_fleet: str
    database_version: int
    files: Mapping[str, Entry]

    def as_json(self) -> bytes:
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def read_manifest(content: bytes, where: Path) -> Manifest:
    """Read the manifest of a backup that anybody may have made.

    Args:
        where: the archive, for errors.

    Raises:
        BackupError: it is not a manifest, names files that no server has, or this program is too old for the backup.
    """
    try:
        kept = json.loads(content)
        if kept["format"] != _FORMAT:
            hint = "Restore it with a newer kraken-fleet"
            raise BackupError(
                f"The backup has format {kept['format']}, this program knows 1", where=str(where), hint=hint
            )
        files = {str(name): _entry(name, entry) for name, entry in kept["files"].items()}
        manifest = Manifest(str(kept["made"]), str(kept["kraken_fleet"]), int(kept["database_version"]), files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(where, f"its manifest cannot be used ({error})") from error
    if DATABASE not in files:
        raise damaged(where, "it has no database")
    if not OLDEST_VERSION <= manifest.database_version <= SCHEMA_VERSION:
        found, known = manifest.database_version, f"{OLDEST_VERSION} to {SCHEMA_VERSION}"
        hint = f"Restore it with kraken-fleet {manifest.kraken_fleet}, which made it"
        message = f"The backup's database has version {found}, this program knows versions {known}"
        raise BackupError(message, where=str(where), hint=hint)
    return manifest


def damaged(archive: Path, reason: str) -> BackupError:
    return BackupError(f"The backup is damaged: {reason}", where=str(archive), hint="Use another backup")


def copy(source: IO[bytes], target: IO[bytes], size: int) -> Entry:
    """Copy so many bytes, or fewer when there are no more; say what was copied."""
    digest, left = hashlib.sha256(), size
    while left and (chunk := source.read(min(CHUNK, left))):
        digest.update(chunk)
        target.write(chunk)
        left -= len(chunk)
    return Entry(size - left, digest.hexdigest())


def _entry(name: str, entry: Mapping[str, object]) -> Entry:
    """Take one file, when a server keeps such a file: never one above the data directory, nor the server's lock."""
    parts = PurePosixPath(name).parts
    is_kept = name in (DATABASE, *FILES) or (len(parts) > 1 and parts[0] in DIRECTORIES)
    if not is_kept or ".." in parts or "/".join(parts) != name or "\0" in name:
        raise ValueError(f"it names the file {name!r}, which is not a server's")
    size, digest = entry["size"], entry["sha256"]
    if not isinstance(size, int) or size < 0 or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ValueError(f"the size or the checksum of {name!r} is not one")
    return Entry(size, digest)
