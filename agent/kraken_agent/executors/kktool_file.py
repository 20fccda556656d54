"""Makes a kktool file of the running agent's own code, for containers: always there, and never another version."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pkgutil
import zipfile
from types import ModuleType

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\nfrom kraken_agent.tools.kktool import main\nsys.exit(main())\n"


def build_kktool() -> bytes:
    """A zip application with the agent's tools, which any Python >= 3.8 runs."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN)
        for package in ("kraken_agent", "kraken_agent.tools"):
            _add_package(archive, importlib.import_module(package), whole=package.endswith(".tools"))
    return _SHEBANG + data.getvalue()


def _add_package(archive: zipfile.ZipFile, package: ModuleType, *, whole: bool) -> None:
    folder = package.__name__.replace(".", "/")
    archive.writestr(f"{folder}/__init__.py", _source(package.__name__))
    if whole:
        for module in pkgutil.iter_modules(package.__path__):
            archive.writestr(f"{folder}/{module.name}.py", _source(f"{package.__name__}.{module.name}"))


def _source(name: str) -> str:
    """The source of a module, from a directory or from the zip file that the agent runs from."""
    spec = importlib.util.find_spec(name)
    source = getattr(spec.loader if spec else None, "get_source", lambda _: None)(name)
    if source is None:
        raise RuntimeError(f"the agent's own module {name} has no source")
    return str(source)
