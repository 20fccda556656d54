"""The names of the built-in tools, the module that each is, and the commands that each has.

The names are upstream's: a step says `tool: git`, and upstream's kktool is called with `-m kraken.agent.kraken_git`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

# name -> the commands that the module has, so that nobody needs to import it to know.
BUILTIN_COMMANDS = {
    "artifacts": ("run_artifacts",),
    "cache": ("run",),
    "cloc": ("run_tests",),
    "data": ("run_data",),
    "git": ("run",),
    "gotest": ("run_tests",),
    "junit_collect": ("run_tests",),
    "nglint": ("run_analysis",),
    "pylint": ("run_analysis",),
    "pytest": ("collect_tests", "run_tests"),
    "rndtest": ("collect_tests", "run_tests"),
    "shell": ("run",),
    "values_collect": ("run_tests",),
}

# The commands that do a step's work, in the order in which they are run.
RUN_COMMANDS = ("run_tests", "run_analysis", "run_artifacts", "run_data", "run")

_PACKAGE = "kraken_agent.tools"
_UPSTREAM_PREFIX = "kraken.agent.kraken_"


def builtin_module(name: str) -> Optional[str]:
    """Return the full module name of a built-in tool, or None.

    Args:
        name: `git`, `kraken_agent.tools.git` or upstream's `kraken.agent.kraken_git`.
    """
    for prefix in (_PACKAGE + ".", _UPSTREAM_PREFIX):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    return f"{_PACKAGE}.{name}" if name in BUILTIN_COMMANDS else None
