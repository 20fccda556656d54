"""Checks that the file that the code runs from, kkagent or kktool, is whole and works with this Python.

Python does not check what it reads from a zip file by itself: zipimport ignores the archive's own checksums.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from typing import Callable, Iterable, List

import kraken_agent

_MANIFEST = "MANIFEST.json"


def check_integrity(program: str, modules: Callable[[], Iterable[str]]) -> int:
    """Compare the file with its manifest and import its modules; what is wrong goes to standard error.

    Args:
        program: the file's name in messages.
        modules: gives the names of the modules to import.

    Returns:
        the exit code: 0 when all is well, 1 when something is damaged.
    """
    try:
        damaged = ", ".join(damaged_files())
        for name in () if damaged else modules():
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - damage shows as any error: zlib's, a syntax error, a missing module
        damaged = repr(error)
    if damaged:
        sys.stderr.write(f"{program}: this file is damaged: {damaged}\n")
    return 1 if damaged else 0


def damaged_files() -> List[str]:
    """Return the names of files that are missing or not what they were built as; none when this is no single file.

    Raises:
        ValueError: the manifest itself is damaged.
        OSError: there is none.
    """
    loader = getattr(kraken_agent.__spec__, "loader", None)
    archive = getattr(loader, "archive", None)
    if loader is None or archive is None:
        return []
    manifest = json.loads(loader.get_data(os.path.join(archive, _MANIFEST)))
    damaged = []
    for name, digest in sorted(manifest["files"].items()):
        try:
            content = loader.get_data(os.path.join(archive, *name.split("/")))
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            damaged.append(name)
    return damaged
