"""The tool `shell` for kktool: runs a command or a script, as upstream's kktool does.

The agent itself runs shell steps without kktool; this serves an upstream agent, or a person, that uses ours.
Step fields: `cmd` or `script`, `cwd`, `env`, `user`, `timeout`, `shell_exe`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

from kraken_agent.tools.command import STEP_TIMEOUT, run_program
from kraken_agent.tools.masking import secrets_of
from kraken_agent.tools.paths import temporary_directory, working_directory

_USUAL_SECONDS = 60
_COMMAND_SHELL = "/bin/sh"
_SCRIPT_SHELL = "/bin/bash"


def run(step: Mapping[str, Any]) -> Tuple[int, str]:
    """Run it; return its exit code."""
    script = step.get("script")
    if script is None and not step.get("cmd"):
        return 1, "the shell step has neither cmd nor script"
    if script is None:
        return _run(step, None)
    directory = temporary_directory("shell")
    try:
        return _run(step, _script_file(directory, str(script)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(step: Mapping[str, Any], script: Optional[Path]) -> Tuple[int, str]:
    shell = str(step.get("shell_exe") or (_SCRIPT_SHELL if script else _COMMAND_SHELL)).split()
    argv: List[str] = [*shell, str(script)] if script else [*shell, "-c", str(step["cmd"])]
    extra = {str(name): str(value) for name, value in (step.get("env") or {}).items()}
    user = str(step.get("user") or "")
    if user:
        # sudo gives a program few variables of its caller; -n makes it fail where it would ask for a password.
        keep = [f"--preserve-env={','.join(extra)}"] if extra else []
        argv = ["sudo", "-n", "-H", "-u", user, *keep, "--", *argv]
    done = run_program(
        argv,
        cwd=working_directory(step),
        env={**os.environ, **extra},
        timeout=float(step.get("timeout") or _USUAL_SECONDS),
        secrets=secrets_of(step),
    )
    if done.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, "cmd exceeded timeout"
    return (done.code, f"cmd exited with non-zero retcode: {done.code}") if done.code else (0, "")


def _script_file(directory: Path, text: str) -> Path:
    """Write a script into a file, beginning as upstream begins each."""
    path = directory / "step.sh"
    path.write_text("set -ex\n" + text, encoding="utf-8")
    return path
