"""The tool `gotest`: runs `go test -json` and reports each test as soon as Go says how it went.

Step fields: `go_exe`, `params`, `cwd`, `timeout`.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.command import STEP_TIMEOUT, run_program
from kraken_agent.tools.masking import Masker, secrets_of
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory

_STATUSES = {"pass": results.PASSED, "fail": results.FAILED, "skip": results.DISABLED}


def run_tests(step: Mapping[str, Any], report_result: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Run the tests; a failing test fails the step too, as `go test` itself does."""
    command = f"{step.get('go_exe') or 'go'} test -json {step.get('params') or ''}".rstrip()
    mask = Masker(secrets_of(step)).mask_text
    say(mask(command))

    def on_line(line: str) -> None:
        event = _event(line)
        if event is None:
            say(line)
            return
        if "Output" in event:
            say(mask(str(event["Output"])))
        # An event without a test is about the whole package.
        if event.get("Action") in _STATUSES and "Test" in event:
            name = f"{event['Package']}::{event['Test']}" if event.get("Package") else str(event["Test"])
            report_result({"cmd": "", "test": name, "status": _STATUSES[event["Action"]]})

    # `go_exe` and `params` are shell text in users' workflows: patterns and variables in them are expected to work.
    timeout = int(step.get("timeout") or 0)
    done = run_program(["/bin/sh", "-c", command], cwd=working_directory(step), timeout=timeout, on_line=on_line)
    if done.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, "go test took longer than the step's timeout"
    return (done.code, f"go test exited with non-zero retcode {done.code}") if done.code else (0, "")


def _event(line: str) -> Any:
    """Return the object on a line of `go test -json`; None for a line that is none, such as a compiler's message."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
