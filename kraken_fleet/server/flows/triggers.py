"""What follows from a push or a pull request: runs that know the commit.

As trigger_flow does in kraken/server/bg/jobs.py, 1.7.36.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import desc, select
from sqlalchemy.orm import Session

from kraken_fleet.server.flows.runs import start_flow, start_run
from kraken_fleet.server.flows.step_extras import https_address
from kraken_fleet.server.store.tables import Branch, Flow, Project, Stage

log = logging.getLogger(__name__)


def trigger_flow(session: Session, project: Project, trigger: Mapping[str, Any]) -> None:
    """Start what a trigger asks for.

    Stages of the repository that the latest flow has not run yet run there; when there are none, there is a new flow.
    A branch's very first flow is not told of the trigger, as on the real server.

    Args:
        trigger: with `trigger`, `repo`, `after`, and `ref` or `pull_request`.
    """
    is_push = trigger["trigger"].endswith("push")
    name = trigger["ref"].split("/")[-1] if is_push else trigger["pull_request"]["base"]["ref"]
    kind = 0 if is_push else 1
    reason = trigger["trigger"].replace("-", " ").replace("_", " ")
    branches = select(Branch).where(Branch.project_id == project.id, Branch.branch_name == name)
    branch = session.scalars(branches.where(Branch.deleted.is_(None))).first()
    if branch is None:
        log.warning("project %s has no branch %s: nothing is triggered", project.id, name)
        return
    flows = select(Flow).where(Flow.branch_id == branch.id, Flow.kind == kind).order_by(desc(Flow.id))
    latest = session.scalars(flows.limit(1)).first()
    if latest is None:
        start_flow(session, branch, kind, {}, reason)
        return
    begun = {run.stage_id for run in latest.runs}
    missing = [stage for stage in _stages_of(branch, trigger["repo"]) if stage.id not in begun and stage.enabled]
    for stage in missing:
        latest.trigger = latest.trigger or dict(trigger)
        start_run(session, stage, latest, reason)
    if not missing:
        start_flow(session, branch, kind, {}, reason, trigger)


def _stages_of(branch: Branch, repository: str) -> Iterator[Stage]:
    """Return the stages without a parent that check the repository out."""
    wanted = https_address(repository) or repository
    for stage in branch.stages:
        steps = [step for job in stage.schema["jobs"] for step in job["steps"]]
        urls = [https_address(step["checkout"]) for step in steps if step["tool"] == "git"]
        if stage.deleted is None and stage.schema["parent"] == "root" and wanted in urls:
            yield stage
