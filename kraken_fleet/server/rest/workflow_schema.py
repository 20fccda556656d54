"""The JSON Schema of a stage, for editors and for `kkci dump-workflow-schema`.

It describes what `flows.stage_code` accepts. The fields of a step depend on its tool, so each tool has its own schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kraken_fleet.server.store.tables import Tool

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
# What every step may have, whatever its tool.
_STEP: dict[str, Any] = {
    "name": {**_TEXT, "description": "The step's name in the web UI."},
    "when": {**_TEXT, "default": "was_no_error", "description": "The condition under which the step runs."},
    "attempts": {**_COUNT, "default": 1, "description": "How often the step is tried when it fails."},
    "sleep_time_after_attempt": {**_COUNT, "default": 0, "description": "Seconds between two attempts."},
    "timeout": {**_COUNT, "description": "Seconds after which the step is ended."},
}
_ENVIRONMENT: dict[str, Any] = {
    "type": "object",
    "required": ["system", "agents_group"],
    "properties": {
        "system": {
            "oneOf": [_TEXT, {"type": "array", "items": _TEXT}],
            "description": "The system or the image that the job needs, or a list of them: one job for each.",
        },
        "agents_group": {**_TEXT, "description": "The agents group whose agents may take the job."},
        "executor": {"enum": ["local", "docker", "lxd"], "default": "local"},
        "config": _TEXT,
    },
}
_PARAMETER: dict[str, Any] = {
    "type": "object",
    "required": ["name", "default"],
    "properties": {"name": _TEXT, "type": _TEXT, "default": {}, "description": _TEXT},
}
_TRIGGERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "parent": {**_FLAG, "description": "Start when the parent stage has ended well, or the flow starts."},
        "manual": {**_FLAG, "description": "Wait until a person starts the stage."},
    },
}


def workflow_schema(tools: Iterable[Tool]) -> dict[str, Any]:
    """Return the schema of a stage.

    Args:
        tools: those that steps may name, the newest version of each tool before its older ones.
    """
    steps: dict[str, dict[str, Any]] = {}
    for tool in tools:
        for name in (tool.name, f"{tool.name}@{tool.version}"):
            steps.setdefault(name, _step(tool, name))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Kraken workflow stage",
        "type": "object",
        "required": ["jobs"],
        "properties": {
            "parent": {**_TEXT, "default": "root", "description": "The stage that this one follows, or root."},
            "triggers": _TRIGGERS,
            "parameters": {"type": "array", "items": _PARAMETER},
            "configs": {"type": "array", "items": {"type": "object"}},
            "flow_label": _TEXT,
            "run_label": _TEXT,
            "jobs": {"type": "array", "items": _job(list(steps.values()))},
        },
    }


def _job(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "steps", "environments"],
        "properties": {
            "name": _TEXT,
            # Kraken gives a job at least 60 seconds, whatever its stage says; see flows.job_making.
            "timeout": {"type": "integer", "minimum": 60, "description": "Seconds; a smaller number counts as 60."},
            "steps": {"type": "array", "items": {"type": "object", "oneOf": steps}},
            "environments": {"type": "array", "items": _ENVIRONMENT},
        },
    }


def _step(tool: Tool, name: str) -> dict[str, Any]:
    parameters = tool.parameters or {}
    properties: dict[str, Any] = {"tool": {"const": name, "description": tool.description}, **_STEP}
    properties |= parameters.get("properties", {})
    # The embedded server keeps no list of a built-in tool's fields: the agent checks those.
    open_ended = bool(parameters.get("additionalProperties", not tool.entry))
    required = ["tool", *parameters.get("required", [])]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": open_ended}
