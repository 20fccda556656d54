"""`#{...}` in a step's fields: filled in from arguments, secrets and what happened so far."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kraken_fleet.model import StepStatus
from kraken_fleet.server import clock
from kraken_fleet.server.flows.expressions import ExpressionError, evaluate_text
from kraken_fleet.server.store.tables import Branch, Run, Secret, Step

log = logging.getLogger(__name__)

# Both patterns are the real server's (kraken/server/schema.py): plain names first, then expressions.
_NAME = re.compile(r"#\{([A-Za-z0-9_ ]+)\}")
_EXPRESSION = re.compile(r"#\{([A-Za-z0-9_. \[\]<>=\-+/*|^()]+)\}")
_MASK = "******"
_ENDED_WELL = (StepStatus.DONE, StepStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Base:
    """What all steps of a run share: the context of the run, and its arguments with the project's secrets."""

    context: Mapping[str, Any]
    args: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run) -> Base:
        return cls(run_context(run), {**_secret_args(run.stage.branch), **run.args})


def fill_step(step: Step, base: Base) -> None:
    """Fill in a step's fields anew, with and without secrets. `when` becomes the text True, False or <ERROR>."""
    raw = dict(step.raw)
    # The default of Kraken: a step is left out once an earlier one has failed.
    when = str(raw.get("when") or "was_no_error")
    raw["when"] = when if when.startswith("#{") else f"#{{{when}}}"
    context = {**base.context, **_of_step(step)}
    step.raw = raw
    plain = {name: value for name, value in raw.items() if name != "tool"}
    step.fields = fill(plain, base.args, context, mask=False)
    step.masked = fill(plain, base.args, context, mask=True)


def fill(value: Any, args: Mapping[str, Any], context: Mapping[str, Any], *, mask: bool) -> Any:
    """Return a value with every `#{...}` in it replaced; unknown ones become <ERROR>, as on the real server."""
    if isinstance(value, dict):
        return {name: fill(inner, args, context, mask=mask) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, args, context, mask=mask) for inner in value]
    if not isinstance(value, str):
        return value

    def name(found: re.Match[str]) -> str:
        key = found[1]
        # What is no argument stays as it is: the second pattern may know it as an expression.
        if key not in args:
            return found[0]
        return _MASK if mask and key.startswith("KK_SECRET_") else str(args[key])

    def expression(found: re.Match[str]) -> str:
        text = found[1].strip()
        if mask and text.startswith("secrets."):
            return _MASK
        try:
            return str(evaluate_text(text, context))
        except ExpressionError as error:
            log.warning("#{%s}: %s", text, error)
            return "<ERROR>"

    return _EXPRESSION.sub(expression, _NAME.sub(name, value))


def secret_values(branch: Branch) -> list[str]:
    """Return all secrets of a project, as agents get them to mask their logs: line ends written as \n.."""
    secrets = [secret.data["key" if secret.kind == "ssh-key" else "secret"] for secret in _living(branch)]
    return [str(secret).encode("unicode-escape").decode() for secret in secrets]


def branch_context(branch: Branch) -> dict[str, Any]:
    """Return what a stage's code may look at when nothing runs yet."""
    project = branch.project
    return {
        "args": {},
        "project": {"id": project.id, "name": project.name},
        "branch": {"id": branch.id, "name": branch.name, "branch_name": branch.branch_name},
        "branch_name": branch.name,
        "env": branch.env_vars or {},
        "secrets": _secrets(branch),
        "stage": None,
        "flow": None,
        "run": None,
        "job": None,
        "step": None,
        "is_ci": True,
        "is_dev": False,
        "run_label": None,
        "flow_label": None,
        "prev_ok": True,
        "was_any_error": False,
        "was_no_error": True,
        "always": True,
        "never": False,
    }


def run_context(run: Run) -> dict[str, Any]:
    """Return the same while a run is on its way."""
    flow = run.flow
    label = flow.label or f"{flow.id}."
    return branch_context(run.stage.branch) | {
        "args": run.args,
        "stage": {"id": run.stage_id, "name": run.stage.name},
        "flow": {"id": flow.id, "label": label, "created": clock.iso(flow.created), "data": flow.user_data},
        "run": {"id": run.id, "label": run.label, "reason": run.reason},
        "is_ci": flow.kind == 0,
        "is_dev": flow.kind == 1,
        "run_label": run.label,
        "flow_label": label,
    }


def _of_step(step: Step) -> dict[str, Any]:
    job = step.job
    before = [other.status for other in job.steps if other.index < step.index]
    failed = StepStatus.ERROR in before
    return {
        "job": {"id": job.id, "name": job.name, "agent_id": job.agent_id or 0, "system": job.system.name},
        "step": {"id": step.id, "index": step.index, "tool": step.tool.name},
        "prev_ok": not before or before[-1] in _ENDED_WELL,
        "was_any_error": failed,
        "was_no_error": not failed,
    }


def _living(branch: Branch) -> list[Secret]:
    return [secret for secret in branch.project.secrets if secret.deleted is None]


def _secret_args(branch: Branch) -> dict[str, str]:
    args = {}
    for secret in _living(branch):
        if secret.kind == "ssh-key":
            args[f"KK_SECRET_USER_{secret.name}"] = secret.data["username"]
            args[f"KK_SECRET_KEY_{secret.name}"] = secret.data["key"]
        else:
            args[f"KK_SECRET_SIMPLE_{secret.name}"] = secret.data["secret"]
    return args


def _secrets(branch: Branch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for secret in _living(branch):
        if secret.kind == "ssh-key":
            found[secret.name] = {"user": secret.data["username"], "key": secret.data["key"]}
        else:
            found[secret.name] = secret.data["secret"]
    return found
