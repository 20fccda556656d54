"""The stage that one gets who names none (kraken/server/schema.py has the same), and that of the demo project."""

from __future__ import annotations

import ast
from typing import Any

DEFAULT_CODE = """\
def stage(ctx):
    return {
        "parent": "root",
        "triggers": {"parent": True},
        "parameters": [],
        "configs": [],
        "jobs": [{
            "name": "hello world",
            "steps": [{"tool": "shell", "cmd": "echo 'hello world'"}],
            "environments": [{"system": "any", "agents_group": "all", "config": "default"}]
        }]
    }
"""


def default_schema() -> dict[str, Any]:
    """Return what the code describes. It is a literal; any other code goes through `flows.stage_code.read_stage`."""
    schema: dict[str, Any] = ast.literal_eval(DEFAULT_CODE.partition("return ")[2])
    return schema
