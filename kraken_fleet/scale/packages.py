"""Packages that only a deploy in slices needs, imported when it is their turn."""

from __future__ import annotations

import importlib
from typing import Any

from kraken_fleet.errors import FleetError


def needed(package: str, what: str) -> Any:
    """Import a package.

    Args:
        what: the work that needs it, with a capital.

    Raises:
        FleetError: it, or another one that it needs, is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        hint = "Install it with `pip install 'kraken-fleet[scale]'`, on each worker too"
        raise FleetError(f"{what} needs the Python package {error.name!r}", hint=hint) from error


def ansible_runner() -> Any:
    """Import ansible-runner, which runs a slice wherever that is.

    Raises:
        FleetError: it is not installed.
    """
    return needed("ansible_runner", "A deploy in slices")
