"""Finds the code of a step's tool: built in, in a tools directory, at a location that the step names, or in the store.

A user's tool is a Python module with the functions that `runner` describes. It lives in a directory or a zip file, with
its dependencies in `vendor/` beside it, as the server's `tools` command packs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, Iterable, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit
from urllib.request import urlopen

from kraken_agent.tools.catalog import builtin_module
from kraken_agent.tools.object_store import open_store
from kraken_agent.tools.paths import inside
from kraken_agent.tools.s3 import StoreError

_STORE_PREFIX = "minio:"
_HTTP_PREFIXES = ("http://", "https://")
_HTTP_SECONDS = 60
_MODULE_PREFIX = "kraken_"
_VENDOR = "vendor"


class ToolNotFoundError(Exception):
    """There is no such tool, or its code cannot be had; the message says where it was looked for."""


class ToolCode(NamedTuple):
    """Where a tool is.

    Attributes:
        module: what to import.
        paths: directories that must be on the module search path first; empty for a built-in tool.
    """

    module: str
    paths: Tuple[Path, ...] = ()

    @property
    def is_builtin(self) -> bool:
        """Return whether the agent itself has the code."""
        return not self.paths

    def python_path(self) -> str:
        """Return the paths as PYTHONPATH takes them."""
        return os.pathsep.join(str(path) for path in self.paths)


def locate(step: Mapping[str, Any], *, tools_dirs: Iterable[Path], data_dir: Path, job_dir: Path) -> ToolCode:
    """Find the code of a step's tool.

    Args:
        step: has `tool`, and for users' tools `tool_location` and `tool_entry`.
        tools_dirs: searched for `kraken_NAME.py`, `kraken_NAME/` and `NAME.zip`.
        data_dir: the agent's; zip files are unpacked to `tools/` in it, once for each content.
        job_dir: where a relative location begins, so that a job can check its own tools out.

    Raises:
        ToolNotFoundError: there is no such tool.
    """
    name = str(step["tool"]).partition("@")[0]
    location, entry = str(step.get("tool_location") or ""), str(step.get("tool_entry") or "")
    store = data_dir / "tools"
    if location.startswith(_STORE_PREFIX):
        return _unpacked(_download(step, location[len(_STORE_PREFIX) :], store), store, entry or _MODULE_PREFIX + name)
    if location.startswith(_HTTP_PREFIXES):
        return _unpacked(_fetch(location, store), store, entry or _MODULE_PREFIX + name)
    if location:
        place = Path(job_dir, location)
        return _at(place, store, entry or _MODULE_PREFIX + name)
    module = builtin_module(name)
    if module:
        return ToolCode(module)
    directories = list(tools_dirs)
    found = _in_tools_dirs(name, directories, store)
    if found is None:
        searched = ", ".join(str(directory) for directory in directories) or "no tools directory is set"
        raise ToolNotFoundError(f"there is no tool {name!r}: it is not built in, and not in {searched}")
    return found


def _in_tools_dirs(name: str, directories: List[Path], store: Path) -> Optional[ToolCode]:
    module = _MODULE_PREFIX + name
    for directory in directories:
        if (directory / f"{module}.py").is_file() or (directory / module / "__init__.py").is_file():
            return _at(directory, store, module)
        archive = directory / f"{name}.zip"
        if archive.is_file():
            return _unpacked(archive, store, "")
    return None


def _at(place: Path, store: Path, entry: str) -> ToolCode:
    if place.is_dir():
        return ToolCode(entry, (place.resolve(), place.resolve() / _VENDOR))
    if place.is_file():
        return _unpacked(place, store, entry)
    raise ToolNotFoundError(f"the tool's location {place} is neither a directory nor a zip file")


def _download(step: Mapping[str, Any], address: str, store: Path) -> Path:
    """Fetch `BUCKET/PATH` from the object store. It is fetched each time: its content may change under one name."""
    bucket, _, name = address.partition("/")
    try:
        path = inside(store / "downloads", f"{bucket}/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        client = open_store(step)
        try:
            client.get_file(bucket, name, path)
        finally:
            client.close()
    except (StoreError, ValueError) as error:
        raise ToolNotFoundError(f"the tool cannot be fetched from {_STORE_PREFIX}{address}: {error}") from error
    return path


def _fetch(url: str, store: Path) -> Path:
    """Download a tool that the server keeps itself, whose name is the sha256 of its content."""
    name = PurePosixPath(urlsplit(url).path).name
    path = store / "downloads" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urlopen(url, timeout=_HTTP_SECONDS) as answer:
            content = answer.read()
    except OSError as error:
        raise ToolNotFoundError(f"the tool cannot be fetched from {url}: {error}") from error
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise ToolNotFoundError(f"the tool from {url} does not have the sha256 that its name says")
    path.write_bytes(content)
    return path


def _unpacked(archive: Path, store: Path, entry: str) -> ToolCode:
    """Unpack a zip file, unless the same content is there already, and name its module.

    The directory is called after the content and appears at once, so agents and jobs may share it.
    """
    directory = store / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    try:
        if not directory.is_dir():
            store.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=".unpack-", dir=store))
            with zipfile.ZipFile(archive) as content:
                content.extractall(fresh)
            try:
                fresh.rename(directory)
            except OSError:
                # Somebody else was quicker with the same content.
                shutil.rmtree(fresh)
        return ToolCode(entry or _entry_of(directory, archive), (directory, directory / _VENDOR))
    except zipfile.BadZipFile as error:
        raise ToolNotFoundError(f"{archive} is not a zip file: {error}") from error


def _entry_of(directory: Path, archive: Path) -> str:
    """Return the module that a tool's own description names, else the one called after the file."""
    description = directory / "tool.json"
    if description.is_file():
        entry = json.loads(description.read_text(encoding="utf-8")).get("entry")
        if entry:
            return str(entry)
    return _MODULE_PREFIX + archive.stem
