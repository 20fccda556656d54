"""What a shell step asks for, read from what the server gave."""

from __future__ import annotations

from kraken_agent.executors.base import ShellCommand
from kraken_agent.protocol import seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping

_DEFAULT_SECONDS = 60.0


def shell_command(step: Mapping[str, Any]) -> ShellCommand:
    """Return what a shell step runs.

    `cmd` is given to `shell_exe -c` (default `/bin/sh`); `script` goes into a file that `shell_exe` (default
    `/bin/bash`) reads, as upstream does.

    Raises:
        ValueError: the step says nothing to run.
    """
    script = step.get("script")
    if script is None and not isinstance(step.get("cmd"), str):
        raise ValueError("the shell step has neither cmd nor script")
    shell = str(step.get("shell_exe") or ("/bin/bash" if script else "/bin/sh")).split()
    key = step.get("ssh-key")
    return ShellCommand(
        argv=shell if script else [*shell, "-c", str(step.get("cmd") or "")],
        script=str(script) if script else None,
        env={**branch_environment(step), **_strings(step.get("env"))},
        cwd=str(step.get("cwd") or "."),
        user=str(step.get("user") or ""),
        ssh_key=str(key.get("key") or "") if isinstance(key, dict) else "",
    )


def time_limit(step: Mapping[str, Any]) -> float:
    """Return how many seconds a shell step may run.

    Raises:
        ValueError: its `timeout` is no number.
    """
    timeout = step.get("timeout") or _DEFAULT_SECONDS
    return seconds_of(float(timeout), _DEFAULT_SECONDS)


def branch_environment(step: Mapping[str, Any]) -> Dict[str, str]:
    """Return the variables that the step's branch sets."""
    return _strings(step.get("branch_env"))


def _strings(values: object) -> Dict[str, str]:
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
