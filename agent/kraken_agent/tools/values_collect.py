"""The tool `values_collect`: reports numbers (metrics, parameters) that earlier steps have written to JSON files.

Step fields: `files` (each `name` and perhaps `namespace`), `cwd`. A file holds one object, name to value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory


def run_tests(step: Mapping[str, Any], report_result: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Report one result for each file: its values, or an error when it is missing or damaged."""
    for entry in step["files"]:
        result: Dict[str, Any] = {"cmd": "", "test": entry.get("namespace") or entry["name"], "values": {}}
        try:
            result["values"] = _values(working_directory(step) / entry["name"])
            result["status"] = results.PASSED
        except (OSError, ValueError) as error:
            result.update(status=results.ERROR, msg=str(error))
        say(f"{result['test']}: {result.get('msg') or result['values']}")
        report_result(result)
    return 0, ""


def _values(path: Path) -> Dict[str, Dict[str, Any]]:
    if not path.exists():
        raise ValueError(f"file {path} is missing")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"cannot parse file {path}: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"file {path} holds no object of names and values")  # noqa: TRY004 - wrong content, not type
    return {str(name): {"value": value} for name, value in data.items()}
