"""A package that is not installed, as far as one test can see."""

from __future__ import annotations

import sys

import pytest


def hide_package(monkeypatch: pytest.MonkeyPatch, package: str, *importers: str) -> None:
    """Make each import of a package fail, as where it is not installed.

    Args:
        importers: the modules that import it, with those below them; they are imported anew.
    """
    for name in [name for name in sys.modules if name.startswith((package, *importers))]:
        monkeypatch.delitem(sys.modules, name)
    # Python takes None for a package that cannot be found.
    monkeypatch.setitem(sys.modules, package, None)
