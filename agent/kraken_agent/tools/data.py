"""The tool `data`: hands a JSON document, a jq expression or a JSON patch to the server, which keeps data for flows.

Step fields: `file` or `value`, `cwd`; `operation`, `json_pointer` and `scope` are the server's business.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Tuple

from kraken_agent.tools.output import say
from kraken_agent.tools.paths import working_directory


def run_data(step: Mapping[str, Any], report_data: Callable[[str], None]) -> Tuple[int, str]:
    """Send the content of the file. A `value` in the step is known to the server already: only the wish is sent."""
    if step.get("value"):
        report_data("")
        return 0, ""
    if not step.get("file"):
        return 1, "the step has neither file nor value"
    path = working_directory(step) / str(step["file"])
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return 1, f"problem with reading file {path}: {error}"
    say(f"sending {path}, {len(content)} characters")
    report_data(content)
    return 0, ""
