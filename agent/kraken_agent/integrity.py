"""Checks that this file of the agent is whole, and that every module of it can be imported with this Python."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import kraken_agent
from kraken_agent import __version__
from kraken_agent.tools.manifest import damaged_files


def check() -> int:
    """Check the content, import everything; returns the exit code: 0 when all is well, 1 when something is damaged."""
    try:
        damaged = damaged_files()
        if damaged:
            sys.stderr.write(f"kkagent: this file is damaged: {', '.join(damaged)}\n")
            return 1
        for module in pkgutil.walk_packages(kraken_agent.__path__, "kraken_agent."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    except Exception as error:  # noqa: BLE001 - damage shows as any error: zlib's, a syntax error, a missing module
        sys.stderr.write(f"kkagent: this file is damaged: {error!r}\n")
        return 1
    sys.stdout.write(f"kkagent {__version__} is complete\n")
    return 0
