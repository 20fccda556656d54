"""Paths as steps give them, and names in an object store: turned into each other so that neither leaves its place."""

from __future__ import annotations

import glob
import os
import posixpath
import tempfile
from pathlib import Path
from typing import Any, Iterator, List, Mapping

# The agent removes this directory when the step's process has ended, also when that was killed.
_STEP_FILES = "KRAKEN_STEP_FILES"


def temporary_directory(name: str) -> Path:
    """Make a directory that only this account can enter, and that does not outlive the step where an agent runs it.

    Args:
        name: says in the directory's name what it is for.
    """
    return Path(tempfile.mkdtemp(prefix=f"kraken-{name}-", dir=os.environ.get(_STEP_FILES) or None))


def working_directory(step: Mapping[str, Any]) -> Path:
    """Return the step's `cwd`, seen from the job's directory, where tools run."""
    return Path(step.get("cwd") or ".")


def as_list(value: Any) -> List[str]:
    """Return a field that takes one text or a list of them."""
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def has_glob(pattern: str) -> bool:
    """Return whether a path is a pattern."""
    return "*" in pattern


def matching_files(base: Path, pattern: str) -> Iterator[Path]:
    """Return the files of a path, directory or pattern; those that begin with a dot only when they are spelled out.

    Args:
        base: where a relative pattern begins.
        pattern: `*` and `**` as upstream takes them; a directory stands for everything below it.
    """
    whole = str(base / pattern)
    if not has_glob(whole) and Path(whole).is_dir():
        whole = str(Path(whole) / "**")
    # pathlib's own glob finds hidden files too, and would publish a .git directory along with the sources.
    found = glob.iglob(whole, recursive=True)
    return (path for path in map(Path, sorted(found)) if path.is_file())


def object_path(base: Path, path: Path) -> str:
    """Return the name that a file gets in the store: its path below `base`, or its bare name when it lies elsewhere."""
    relative = posixpath.normpath(os.path.relpath(path, base))
    return path.name if relative.startswith("../") else relative


def join_object(*parts: str) -> str:
    """Join parts of an object's name to one clean name, without leading slash and without `..`.

    Raises:
        ValueError: the name would lie outside its first part.
    """
    clean = [part.strip("/") for part in parts if part.strip("/") not in ("", ".")]
    name = posixpath.normpath("/".join(clean))
    first = posixpath.normpath(clean[0]) if clean else "."
    if name != first and not name.startswith(first + "/"):
        raise ValueError(f"{'/'.join(parts)} leads out of {first}")
    return name


def inside(base: Path, name: str) -> Path:
    """Return the path of a name below a directory, links resolved.

    Raises:
        ValueError: the name leads out of the directory.
    """
    root = base.resolve()
    path = (root / name).resolve()
    if path != root and root not in path.parents:
        raise ValueError(f"{name!r} leads out of {base}")
    return path
