"""The names of the built-in tools, and the module that each is.

The names are upstream's: a step says `tool: git`, and upstream's kktool is called with `-m kraken.agent.kraken_git`.
"""

from __future__ import annotations

from typing import Optional

BUILTIN_TOOLS = (
    "artifacts",
    "cache",
    "cloc",
    "data",
    "git",
    "gotest",
    "junit_collect",
    "nglint",
    "pylint",
    "pytest",
    "rndtest",
    "shell",
    "values_collect",
)

_PACKAGE = "kraken_agent.tools"
_UPSTREAM_PREFIX = "kraken.agent.kraken_"


def builtin_module(name: str) -> Optional[str]:
    """The full module name of a built-in tool, or None.

    Args:
        name: `git`, `kraken_agent.tools.git` or upstream's `kraken.agent.kraken_git`.
    """
    for prefix in (_PACKAGE + ".", _UPSTREAM_PREFIX):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    return f"{_PACKAGE}.{name}" if name in BUILTIN_TOOLS else None
