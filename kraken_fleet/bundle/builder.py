"""Building bundles, and looking at a bundle that is there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from kraken_fleet import whole_file
from kraken_fleet.bundle.archive import pack, unpack
from kraken_fleet.bundle.contents import RECIPES, agent_package, files_of, version_of
from kraken_fleet.errors import BundleError


@dataclass(frozen=True, slots=True)
class Bundle:
    """A kkagent or kktool file: `size` in bytes, `sha256` of the whole file in hexadecimal."""

    name: str
    version: str
    path: Path
    size: int
    sha256: str

    @property
    def release(self) -> str:
        """The version with the start of the checksum: tells apart two builds that call themselves the same."""
        return f"{self.version}-{self.sha256[:8]}"


def build(out_dir: Path | str) -> tuple[Bundle, ...]:
    """Build kkagent and kktool from the agent that is installed beside this library.

    A file appears whole or not at all, and is left untouched when it is already right.

    Args:
        out_dir: where the files go; made when it is not there.

    Raises:
        BundleError: the agent's source is missing, or the files cannot be written.
    """
    package, directory = agent_package(), Path(out_dir)
    version = version_of(package)
    bundles = []
    for recipe in RECIPES:
        content = pack(recipe.name, version, files_of(recipe, package))
        path = directory / recipe.name
        try:
            _put(path, content)
        except OSError as error:
            raise BundleError(f"The bundle cannot be written: {error.strerror}", where=str(path)) from error
        bundles.append(_bundle(recipe.name, version, path, content))
    return tuple(bundles)


def inspect(path: Path | str) -> Bundle:
    """Read a bundle, check all of its content, and say what it is.

    Raises:
        BundleError: the file is missing, damaged, or was not built by kraken-fleet.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "Build it with `kraken-fleet bundle build`"
        raise BundleError(f"The bundle cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    manifest = unpack(content, path)
    return _bundle(manifest.name, manifest.version, path, content)


def _bundle(name: str, version: str, path: Path, content: bytes) -> Bundle:
    return Bundle(name, version, path, len(content), hashlib.sha256(content).hexdigest())


def _put(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content and os.access(path, os.X_OK):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(path, content, 0o755, any_umask=True)
