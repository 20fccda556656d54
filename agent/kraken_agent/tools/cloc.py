"""The tool `cloc`: reports how many lines of code there are in each language.

Step fields: `not-match-f`, `exclude-dir`, `cwd`, `timeout`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.command import run_program
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory

_COUNTED = ("blank", "comment", "code")


def run_tests(step: Mapping[str, Any], report_result: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Report one result for each language, and one named SUM."""
    words = ["cloc", ".", "--json"]
    words += [f"--{field}={step[field]}" for field in ("not-match-f", "exclude-dir") if step.get(field)]
    say(" ".join(words))
    timeout = int(step.get("timeout") or 0)
    cwd = working_directory(step)
    done = run_program(words, cwd=cwd, timeout=timeout, on_line=lambda line: None, keep=True, split_stderr=True)
    if done.code != 0:
        return done.code, f"cloc exited with non-zero retcode {done.code}"
    try:
        languages = done.from_json("cloc") or {}
    except ValueError as error:
        return 1, str(error)
    for language, counts in languages.items():
        # Beside the languages cloc says its own version and how long it took.
        if language != "header":
            say(f"{language}: {counts['code']} lines of code in {counts['nFiles']} files")
            report_result(_result(language, counts))
    return 0, ""


def _result(language: str, counts: Mapping[str, int]) -> Dict[str, Any]:
    numbers = {name: counts[name] for name in _COUNTED}
    numbers.update(total=sum(numbers.values()), files=counts["nFiles"])
    values = {name: {"value": number, "iterations": 1} for name, number in numbers.items()}
    return {"cmd": "", "status": results.PASSED, "test": language, "values": values}
