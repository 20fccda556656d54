"""The tool `nglint`: reports what `ng lint` finds in an Angular project.

Step fields: `cwd`, `timeout`. An issue carries the address of its line on the web when the project is in a repository.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from kraken_agent.tools.command import STEP_TIMEOUT, run_program
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory

# With --force issues are no error, so that another exit code says that ng itself has failed.
_COMMAND = ("npx", "ng", "lint", "--format", "json", "--force", "--silent")
# `https://HOST/PATH.git`, `ssh://git@HOST:PORT/PATH`, `git@HOST:PATH`; what is left out may be a secret.
_REMOTE = re.compile(r"(?:\w+://)?(?:[^@/]+@)?([^:/]+)(?::\d+)?[:/](.+?)(?:\.git)?/?$")
_SEVERITIES = {1: "warning", 2: "error"}


def run_analysis(step: Mapping[str, Any], report_issue: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Report every issue; issues are findings, not an error of the step."""
    cwd = working_directory(step)
    timeout = int(step.get("timeout") or 0)
    done = run_program(_COMMAND, cwd=cwd, timeout=timeout, on_line=lambda line: None, keep=True, split_stderr=True)
    if done.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, "ng lint took longer than the step's timeout"
    if done.code != 0:
        say(done.output)
        return done.code, f"ng lint exited with non-zero retcode {done.code}"
    files = _json_part(done.output)
    if files is None:
        say(done.output)
        return 1, "ng lint wrote no JSON"
    top = Path(_git(cwd, "rev-parse", "--show-toplevel") or cwd.resolve())
    web = _web_address(cwd)
    for file in files:
        path = os.path.relpath(file["filePath"], top)
        for message in file["messages"]:
            issue = _issue(path, message, web)
            say(f"{path}:{issue['line']}  {issue['message']}")
            report_issue(issue)
    return 0, ""


def _issue(path: str, message: Mapping[str, Any], web: Optional[str]) -> Dict[str, Any]:
    line = message.get("line", 0)
    issue = {
        "path": path,
        "line": line,
        "column": message.get("column", 0),
        "message": str(message.get("message", "")),
        "symbol": str(message.get("ruleId") or message.get("messageId") or ""),
        "type": _SEVERITIES.get(message.get("severity", 0), "other"),
    }
    return {**issue, "url": f"{web}/{path}#L{line}"} if web else issue


def _json_part(output: str) -> Any:
    """Return the list in the output: ng may write its own remarks around it."""
    for match in re.finditer(r"^\[", output, re.MULTILINE):
        with contextlib.suppress(ValueError):
            return json.JSONDecoder().raw_decode(output, match.start())[0]
    return None


def _web_address(cwd: Path) -> Optional[str]:
    """Return where the branch is shown on the web; None when the project is in no repository with a remote."""
    match = _REMOTE.match(_git(cwd, "remote", "get-url", "origin"))
    if not match:
        return None
    branches = _git(cwd, "branch", "--remotes", "--contains", "HEAD").splitlines()
    names = [name.strip().partition("/")[2] for name in branches if "HEAD" not in name]
    return f"https://{match.group(1)}/{match.group(2)}/blob/{names[0] if names else 'master'}"


def _git(cwd: Path, *words: str) -> str:
    """Return what a git command writes, or nothing when it fails or git is missing."""
    try:
        done = run_program(["git", *words], cwd=cwd, on_line=lambda line: None, keep=True)
    except OSError:
        return ""
    return done.output.strip() if done.code == 0 else ""
