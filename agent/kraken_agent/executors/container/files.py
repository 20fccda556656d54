"""What is copied into containers: tar archives that are unpacked at the root, everything owned by root, and kktool.

kktool is made of the running agent's own code: always there, and never another version.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import pkgutil
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from kraken_agent import __version__

# For people who run the file by hand; the agent starts it with the Python that the image has, whatever its name is.
_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\nfrom kraken_agent.tools.kktool import main\nsys.exit(main())\n"
_TOOLS = "kraken_agent.tools"


def pack_files(directory: str, files: Mapping[str, Tuple[bytes, int]]) -> bytes:
    """Return an archive of files, name -> (content, mode), in one directory."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(f"{directory.strip('/')}/{name}")
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def pack_tree(directory: str, source: Path) -> bytes:
    """Return an archive of a directory with everything below it; compiled Python and editors' backups stay behind."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(source, directory.strip("/"), filter=_for_everybody)
    return data.getvalue()


def _for_everybody(member: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
    if member.name.endswith((".pyc", "~", "/__pycache__")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    # The step's user is another one than the agent's, and must be able to read it.
    member.mode |= 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def build_kktool() -> bytes:
    """Return a zip application with the agent's tools, which any Python >= 3.8 runs, and its manifest."""
    files = {"__main__.py": _MAIN, **_sources()}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest = json.dumps({"name": "kktool", "version": __version__, "files": digests}, sort_keys=True)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, "MANIFEST.json": manifest}.items():
            archive.writestr(name, text.encode())
    return _SHEBANG + data.getvalue()


def _sources() -> Dict[str, str]:
    """Return the modules of kktool by their names in the archive."""
    names = {"kraken_agent/__init__.py": "kraken_agent", "kraken_agent/tools/__init__.py": _TOOLS}
    for module in pkgutil.iter_modules(importlib.import_module(_TOOLS).__path__):
        names[f"kraken_agent/tools/{module.name}.py"] = f"{_TOOLS}.{module.name}"
    return {path: _source(name) for path, name in names.items()}


def _source(name: str) -> str:
    """Return the source of a module, from a directory or from the zip file that the agent runs from."""
    spec = importlib.util.find_spec(name)
    source = getattr(spec.loader if spec else None, "get_source", lambda _: None)(name)
    if source is None:
        raise RuntimeError(f"the agent's own module {name} has no source")
    return str(source)
