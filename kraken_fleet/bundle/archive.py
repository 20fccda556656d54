"""The bundle as a file: a zip archive behind a shebang line, with a manifest of its own content.

The same files give the same bytes, whoever builds them, when and with which Python: entries are sorted, carry one fixed
time and mode, and are stored as they are. Compression would make the bytes depend on the zlib that Python was built
with, and a controller would then replace the agents that another controller has just installed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.errors import BundleError

MANIFEST = "MANIFEST.json"

_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can say
_REBUILD = "Build it again with `kraken-fleet bundle build`"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself: `files` is the SHA-256 of every other file in it, in hexadecimal."""

    name: str
    version: str
    files: Mapping[str, str]

    def to_json(self) -> bytes:
        content = {"name": self.name, "version": self.version, "files": dict(sorted(self.files.items()))}
        return json.dumps(content, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Raise ValueError, KeyError or TypeError when this is no manifest."""
        content = json.loads(text)
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        return cls(str(content["name"]), str(content["version"]), files)


def pack(name: str, version: str, files: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a bundle with these files, and the manifest added."""
    manifest = Manifest(name, version, {path: _digest(content) for path, content in files.items()})
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted({**files, MANIFEST: manifest.to_json()}.items()):
            archive.writestr(_entry(path), content)
    return buffer.getvalue()


def unpack(content: bytes, where: Path) -> Manifest:
    """Check every byte that a bundle will run against its manifest, which is returned.

    Args:
        content: the whole file.
        where: the file's path, for messages.

    Raises:
        BundleError: the file is cut off, changed, or not a bundle of kraken-fleet.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    # zipfile raises NotImplementedError for an unknown compression, RuntimeError for an encrypted entry.
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BundleError(f"This file is damaged or not a bundle ({error})", where=str(where), hint=_REBUILD) from error
    if not content.startswith(_SHEBANG):
        raise BundleError("Its first line does not start Python", where=str(where), hint=_REBUILD)
    manifest = _manifest_in(found, where)
    _compare(manifest, found, where)
    return manifest


def _manifest_in(found: dict[str, bytes], where: Path) -> Manifest:
    try:
        return Manifest.from_json(found.pop(MANIFEST))
    except KeyError as error:
        message = f"This archive has no {MANIFEST}: kraken-fleet did not build it"
        raise BundleError(message, where=str(where), hint=_REBUILD) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"Its {MANIFEST} is damaged ({error})", where=str(where), hint=_REBUILD) from error


def _compare(manifest: Manifest, found: Mapping[str, bytes], where: Path) -> None:
    actual = {path: _digest(content) for path, content in found.items()}
    different = sorted(path for path, _ in set(manifest.files.items()) ^ set(actual.items()))
    if different:
        names = ", ".join(dict.fromkeys(different))
        raise BundleError(f"Its content is not what it was built with: {names}", where=str(where), hint=_REBUILD)


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.create_system = 3  # Unix; the default is the system that builds
    entry.external_attr = 0o644 << 16
    return entry


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
