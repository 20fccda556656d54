"""The tool `pytest`: lists Python tests, and runs them with each result reported as soon as it is known.

Step fields: `pytest_exe`, `params`, `pythonpath`, `cwd`, and `tests` once the server has dispatched them. One pytest
runs all tests of a step (upstream starts one for each test); a plugin that travels with it tells how each went.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.command import STEP_TIMEOUT, Finished, run_program
from kraken_agent.tools.masking import secrets_of
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import temporary_directory, working_directory
from kraken_agent.tools.pytest_plugin import PLUGIN_NAME, PLUGIN_SOURCE

Outcome = Tuple[int, str]
Report = Callable[[Dict[str, Any]], None]

# pytest's exit codes 0 and 1 say that tests ran; the others that they did not.
_TESTS_RAN = (0, 1)
_NO_TESTS = 5


def collect_tests(step: Mapping[str, Any]) -> List[str]:
    """Return the ids of all tests that the step's parameters mean.

    Raises:
        RuntimeError: pytest could not collect them; its output is in the log.
    """
    tests: List[str] = []
    with _Session(step) as session:
        done = session.run("--collect-only -q", lambda event: tests.append(event["test"]))
    if done.code not in (*_TESTS_RAN, _NO_TESTS):
        raise RuntimeError(f"pytest could not collect tests, its exit code is {done.code}")
    return tests


def run_tests(step: Mapping[str, Any], report_result: Report) -> Outcome:
    """Run `step["tests"]`; failing tests are results, not an error of the step."""
    expected = list(step.get("tests") or ())
    left = dict.fromkeys(expected)
    with _Session(step) as session:

        def report(event: Dict[str, Any]) -> None:
            left.pop(event["test"], None)
            report_result({"cmd": f"{session.program} {shlex.quote(event['test'])}", **event})

        done = session.run("-vv -r ap", report, tests=expected)
        for test in left:
            text = "there was no result: pytest ended before it, or did not find it"
            report_result({"cmd": f"{session.program} {test}", "test": test, "status": results.ERROR, "msg": text})
    if done.code == STEP_TIMEOUT:
        return STEP_TIMEOUT, "pytest took longer than the step's timeout"
    if done.code not in (*_TESTS_RAN, _NO_TESTS):
        return done.code, f"pytest exited with retcode {done.code}"
    return 0, ""


class _Session:
    """One pytest with the plugin beside it, and the pipe that the plugin writes events to."""

    def __init__(self, step: Mapping[str, Any]) -> None:
        self.program = str(step.get("pytest_exe") or _usual_program())
        self._step = step
        self._cwd = working_directory(step)
        self._directory = Path()

    def __enter__(self) -> "_Session":
        self._directory = temporary_directory("pytest")
        (self._directory / f"{PLUGIN_NAME}.py").write_text(PLUGIN_SOURCE, encoding="utf-8")
        os.mkfifo(self._directory / "events", 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, options: str, on_event: Callable[[Dict[str, Any]], None], *, tests: Any = None) -> Finished:
        """Run pytest through the shell, since `pytest_exe` and `params` are shell text in users' workflows."""
        if tests is not None:
            (self._directory / "tests.json").write_text(json.dumps(tests), encoding="utf-8")
        # Open for both directions: reading then neither waits for pytest nor ends before it.
        descriptor = os.open(self._directory / "events", os.O_RDWR | os.O_CLOEXEC)
        reader = threading.Thread(target=_read_events, args=(descriptor, on_event), daemon=True)
        reader.start()
        command = f"{self.program} -p {PLUGIN_NAME} {options} {_without_verbosity(str(self._step.get('params') or ''))}"
        say(command)
        try:
            return run_program(
                ["/bin/sh", "-c", command],
                cwd=self._cwd,
                env=self._environment(),
                timeout=int(self._step.get("timeout") or 0),
                secrets=secrets_of(self._step),
            )
        finally:
            os.write(descriptor, b"\n")
            reader.join()
            os.close(descriptor)

    def _environment(self) -> Dict[str, str]:
        search = [str(self._cwd.resolve()), str(self._step.get("pythonpath") or ""), str(self._directory)]
        return {
            **os.environ,
            "PYTHONPATH": ":".join(part for part in search if part),
            "KRAKEN_PYTEST_DIRECTORY": str(self._directory),
        }


def _read_events(descriptor: int, on_event: Callable[[Dict[str, Any]], None]) -> None:
    """Hand over events, one a line, until the empty line that means the end."""
    with os.fdopen(os.dup(descriptor), "rb") as events:
        for line in iter(events.readline, b"\n"):
            on_event(json.loads(line))


def _usual_program() -> str:
    """Upstream's default is Debian's name; elsewhere pytest has its own."""
    for name in ("pytest-3", "pytest"):
        if shutil.which(name):
            return name
    return f"{shlex.quote(sys.executable)} -m pytest"


def _without_verbosity(params: str) -> str:
    """Return the parameters without -v and -q, which the tool sets itself."""
    return " ".join(word for word in params.split(" ") if word.strip("vq") != "-")
