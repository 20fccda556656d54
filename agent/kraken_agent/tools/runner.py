"""Runs one command of one tool on one step, and says how it went in the words that the server understands.

A tool is a module with one or more of these functions (upstream's convention, so users' own tools work unchanged):

    collect_tests(step) -> list of test names
    run_tests(step, report_result=callable) -> (code, message)
    run_analysis(step, report_issue=callable) -> (code, message)
    run_artifacts(step, report_artifact=callable) -> (code, message)
    run_data(step, report_data=callable) -> (code, message)
    run(step) -> (code, message)

Code 0 is good, 10000 means that the step's time is over, anything else is an error. Every message is a dictionary with
`status` (`in-progress`, `done`, `error`); the last one of a command is never `in-progress`.
"""

from __future__ import annotations

import importlib
import inspect
import signal
import threading
import traceback
from types import ModuleType
from typing import Any, Callable, Dict, List, Mapping, Tuple

from kraken_agent.tools.catalog import RUN_COMMANDS
from kraken_agent.tools.command import STEP_TIMEOUT
from kraken_agent.tools.masking import Masker, secrets_of
from kraken_agent.tools.output import say
from kraken_agent.tools.results import Batches, Send

Step = Mapping[str, Any]
Message = Dict[str, Any]
Outcome = Tuple[int, str]

# Commands that do the work of a step, in the order in which they run when a tool has several.
COMMANDS = ("get_commands", "collect_tests", *RUN_COMMANDS)

# command -> (keyword argument of the tool's function, field of the message)
_REPORTS = {
    "run_tests": ("report_result", "test-results"),
    "run_analysis": ("report_issue", "issues"),
    "run_artifacts": ("report_artifact", "artifacts"),
}


def execute(module: str, command: str, step: Step, send: Send) -> None:
    """Import a tool and run one command of it. It never raises: what goes wrong is the last message.

    Args:
        module: full module name; sys.path must already hold the directories of a user's tool.
        command: one of COMMANDS.
        step: the step as the server gave it.
        send: takes each message.
    """
    _survive_broken_pipes()
    masker = Masker(secrets_of(step))
    try:
        tool = importlib.import_module(module)
        final = _perform(tool, command, step, lambda message: send(masker.mask_message(message)))
    except Exception:  # noqa: BLE001 - a tool is anybody's code: whatever it raises is the result of the step
        final = {"status": "error", "reason": "exception", "msg": traceback.format_exc()}
        say(masker.mask_text(str(final["msg"])))
    # The names of tests come back from the server, and have to be the tool's own then.
    send(final if "tests" in final else masker.mask_message(final))


def _survive_broken_pipes() -> None:
    """Make writing to a connection that the other side has closed an error that the tool can handle.

    A child of the agent begins with the signal's default, which would end the tool without a word.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def commands_of(tool: ModuleType) -> List[str]:
    """Return which commands a tool has. What else is in the module, imported helpers for example, is of no interest."""
    return [name for name, _ in inspect.getmembers(tool, inspect.isfunction) if name in COMMANDS]


def _perform(tool: ModuleType, command: str, step: Step, send: Send) -> Message:
    if command == "get_commands":
        return {"status": "done", "commands": commands_of(tool)}
    if command == "collect_tests":
        return {"status": "done", "tests": list(_function(tool, command)(step))}
    if command not in RUN_COMMANDS:
        raise ValueError(f"unknown command {command!r}; known are {', '.join(COMMANDS)}")
    return _final(_run(_function(tool, command), command, step, send))


def _run(function: Callable[..., Any], command: str, step: Step, send: Send) -> Outcome:
    if command == "run":
        return _outcome(function(step))
    if command == "run_data":
        return _outcome(function(step, report_data=lambda data: send({"status": "in-progress", "data": data})))
    keyword, field = _REPORTS[command]
    with Batches(send, field) as batches:
        return _outcome(function(step, **{keyword: batches.add}))


def _function(tool: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(tool, name, None)
    if not callable(function):
        raise TypeError(f"tool {tool.__name__} has no function {name}; it has {', '.join(commands_of(tool))}")
    found: Callable[..., Any] = function
    return found


def _outcome(answer: Any) -> Outcome:
    """Return what a tool returned, checked: a tool that forgets to return anything has not succeeded."""
    try:
        code, message = answer
        return int(code), str(message)
    except (TypeError, ValueError):
        raise TypeError(f"a tool returns a pair (code, message), not {answer!r}") from None


def _final(outcome: Outcome) -> Message:
    code, message = outcome
    if code == 0:
        return {"status": "done"}
    if code == STEP_TIMEOUT:
        return {"status": "error", "reason": "step-timeout", "msg": message}
    return {"status": "error", "reason": "retcode", "retcode": code, "msg": message}
