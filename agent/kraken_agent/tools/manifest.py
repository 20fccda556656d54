"""Compares the file that the code runs from, kkagent or kktool, with the manifest inside it.

Python does not check what it reads from a zip file by itself: zipimport ignores the archive's own checksums.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import List

import kraken_agent

_MANIFEST = "MANIFEST.json"


def damaged_files() -> List[str]:
    """The names of files that are missing or not what they were built as; none when this is no single file.

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
