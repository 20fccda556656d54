"""Programs of the repository that are in no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[1]


def load_script(path: str) -> ModuleType:
    """Import a program.

    Args:
        path: from the repository's root.
    """
    spec = importlib.util.spec_from_file_location("script_" + path.removesuffix(".py").replace("/", "_"), _ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    assert spec.origin is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    beside = str(Path(spec.origin).parent)
    sys.path.insert(0, beside)  # as when it is run
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    return module
