"""The tool `junit_collect`: reports the results in JUnit XML files that earlier steps have written.

Step fields: `file_glob`, `cwd`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import matching_files, working_directory

Report = Callable[[Dict[str, Any]], None]

# What a test case contains -> its result and the word for it, the worst first.
_VERDICTS = (
    ("error", results.ERROR, "error"),
    ("failure", results.FAILED, "failed"),
    ("skipped", results.DISABLED, "disabled"),
)
_LONGEST_MESSAGE = 2000


def run_tests(step: Mapping[str, Any], report_result: Report) -> Tuple[int, str]:
    """Report every test case; a file that is not XML is an error of the step once the others are reported."""
    totals: Counter[str] = Counter()
    damaged = []
    base = working_directory(step)
    for path in matching_files(base, str(step.get("file_glob") or "**/*.xml")):
        say(f"reading {path}")
        try:
            totals.update(_report_file(path, report_result))
        except ElementTree.ParseError as error:
            damaged.append(f"{path}: {error}")
            say(f"{path} cannot be read: {error}")
    say("total: " + ", ".join(f"{word}={totals[word]}" for word in ("passed", "failed", "disabled", "error")))
    return (1, f"cannot read {'; '.join(damaged)}") if damaged else (0, "")


def _report_file(path: Path, report: Report) -> Counter[str]:
    """Report the cases of a file one by one, so that a large file needs little memory."""
    counts: Counter[str] = Counter()
    with path.open("rb") as file:
        for _, element in ElementTree.iterparse(file):  # noqa: S314 - the job's own file, in the job's own process
            # ElementTree writes a namespace in braces before the name.
            if element.tag.rsplit("}", 1)[-1] != "testcase":
                continue
            word, result = _result(element)
            counts[word] += 1
            report(result)
            element.clear()
    return counts


def _result(case: ElementTree.Element) -> Tuple[str, Dict[str, Any]]:
    name = f"{case.get('classname')}::{case.get('name')}"
    for tag, status, word in _VERDICTS:
        found = next((child for child in case if child.tag.rsplit("}", 1)[-1] == tag), None)
        if found is not None:
            message = (found.get("message") or found.text or "").strip()[:_LONGEST_MESSAGE]
            result: Dict[str, Any] = {"cmd": "", "test": name, "status": status}
            return word, {**result, "msg": message} if message else result
    return "passed", {"cmd": "", "test": name, "status": results.PASSED}
