"""Makes a kktool file of the running agent's own code, for containers: always there, and never another version."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import pkgutil
import zipfile
from typing import Dict

from kraken_agent import __version__

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\nfrom kraken_agent.tools.kktool import main\nsys.exit(main())\n"
_TOOLS = "kraken_agent.tools"


def build_kktool() -> bytes:
    """A zip application with the agent's tools, which any Python >= 3.8 runs, and the manifest that it checks."""
    files = {"__main__.py": _MAIN, **_sources()}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest = json.dumps({"name": "kktool", "version": __version__, "files": digests}, sort_keys=True)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, "MANIFEST.json": manifest}.items():
            archive.writestr(name, text.encode())
    return _SHEBANG + data.getvalue()


def _sources() -> Dict[str, str]:
    """The modules of kktool by their names in the archive."""
    names = {"kraken_agent/__init__.py": "kraken_agent", "kraken_agent/tools/__init__.py": _TOOLS}
    for module in pkgutil.iter_modules(importlib.import_module(_TOOLS).__path__):
        names[f"kraken_agent/tools/{module.name}.py"] = f"{_TOOLS}.{module.name}"
    return {path: _source(name) for path, name in names.items()}


def _source(name: str) -> str:
    """The source of a module, from a directory or from the zip file that the agent runs from."""
    spec = importlib.util.find_spec(name)
    source = getattr(spec.loader if spec else None, "get_source", lambda _: None)(name)
    if source is None:
        raise RuntimeError(f"the agent's own module {name} has no source")
    return str(source)
