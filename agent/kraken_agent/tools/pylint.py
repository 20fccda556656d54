"""The tool `pylint`: reports what pylint finds in Python code.

Step fields: `pylint_exe`, `rcfile`, `modules_or_packages`, `cwd`, `timeout`.
"""

from __future__ import annotations

import shlex
from typing import Any, Callable, Dict, Mapping, Tuple

from kraken_agent.tools.command import STEP_TIMEOUT, run_program
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory


def run_analysis(step: Mapping[str, Any], report_issue: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Report every issue; issues are findings, not an error of the step."""
    # Else the exit code says which kinds of issues there are, and not only that pylint itself has failed.
    words = [str(step.get("pylint_exe") or "pylint"), "--exit-zero", "-f", "json"]
    if step.get("rcfile"):
        words.append(f"--rcfile={shlex.quote(str(step['rcfile']))}")
    # The program and the modules are shell text in users' workflows: `poetry run pylint`, `src/*.py`.
    command = " ".join([*words, str(step["modules_or_packages"])])
    say(command)
    done = run_program(
        ["/bin/sh", "-c", command],
        cwd=working_directory(step),
        timeout=int(step.get("timeout") or 0),
        on_line=lambda line: None,
        keep=True,
        split_stderr=True,
    )
    if done.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, "pylint took longer than the step's timeout"
    if done.code != 0:
        return done.code, f"pylint exited with non-zero retcode {done.code}"
    try:
        issues = done.from_json("pylint") or []
    except ValueError as error:
        return 1, str(error)
    for issue in issues:
        say(f"{issue.get('path')}:{issue.get('line')}  {issue.get('message')}")
        report_issue(issue)
    return 0, ""
