"""The code of stages that tests give to servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stage_code(*jobs: Mapping[str, Any], **more: Any) -> str:
    """A stage of these jobs that starts with its flow; `more` are other fields of the stage, or other values."""
    stage = {"parent": "root", "triggers": {"parent": True}, "parameters": [], "configs": [], "jobs": [*jobs], **more}
    return f"def stage(ctx):\n    return {stage!r}\n"


def shell_job(group: str, *commands: str, name: str = "j", system: str = "any", **more: Any) -> dict[str, Any]:
    """A job of shell commands for an agents group; `more` are other fields of the job."""
    environment = {"system": system, "agents_group": group, "config": "default"}
    steps = [{"tool": "shell", "cmd": command} for command in commands]
    return {"name": name, "steps": steps, "environments": [environment], **more}
