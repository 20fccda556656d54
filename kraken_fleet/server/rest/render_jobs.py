"""Projects, branches, stages, flows, runs, jobs and steps as the API and the agents see them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import object_session

from kraken_fleet.model import JobState, RunState
from kraken_fleet.server.clock import duration_text, iso, now
from kraken_fleet.server.store.tables import Branch, Flow, Job, Project, Run, Secret, Stage, Step, TestResult
from kraken_fleet.server.store.test_history import PASSED, ComparedResult, change_counts

_RUN_WORDS = {state: state.name.lower().replace("_", "-") for state in RunState}
_KINDS = ("ci", "dev")
_RETENTION = {"ci_logs": 6, "dev_logs": 3, "ci_artifacts": 6, "dev_artifacts": 3}


def _record(row: Project | Secret | Branch | Stage) -> dict[str, Any]:
    return {"id": row.id, "created": iso(row.created), "deleted": iso(row.deleted), "name": row.name}


def project_json(project: Project) -> dict[str, Any]:
    """Return a project with its secrets, which are masked, and its branches; without those that were deleted."""
    return {
        **_record(project),
        "description": project.description,
        "secrets": [secret_json(secret) for secret in project.secrets if secret.deleted is None],
        "webhooks": project.webhooks,
        "branches": [branch_json(branch) for branch in project.branches if branch.deleted is None],
    }


def secret_json(secret: Secret) -> dict[str, Any]:
    """Return a secret without what is secret in it."""
    shown = {name: "******" if name in ("key", "secret") else value for name, value in secret.data.items()}
    return {
        **_record(secret),
        "project_id": secret.project_id,
        "project_name": secret.project.name,
        "kind": secret.kind,
        **shown,
    }


def branch_json(branch: Branch, *, with_stages: bool = False) -> dict[str, Any]:
    """Return a branch, on request with its stages that are not deleted."""
    data: dict[str, Any] = {
        **_record(branch),
        "project_id": branch.project_id,
        "project_name": branch.project.name,
        "branch_name": branch.branch_name,
        "retention_policy": _RETENTION,
        "env_vars": branch.env_vars,
    }
    if with_stages:
        data["stages"] = [stage_json(stage) for stage in branch.stages if stage.deleted is None]
    return data


def stage_json(stage: Stage) -> dict[str, Any]:
    """Return a stage. Stages from a repository are not offered, so those fields say that there is none."""
    return {
        **_record(stage),
        "description": stage.description,
        "enabled": stage.enabled,
        "schema_from_repo_enabled": False,
        "repo_url": None,
        "repo_branch": None,
        "repo_access_token": None,
        "repo_state": 0,
        "repo_error": None,
        "repo_refresh_interval": None,
        "git_clone_params": None,
        "repo_version": None,
        "schema_file": None,
        "schema": stage.schema,
        "schema_code": stage.schema_code,
    }


def flow_json(flow: Flow) -> dict[str, Any]:
    """Return a flow with its runs. While it goes on, its duration is that until now."""
    branch = flow.branch
    return {
        "id": flow.id,
        "label": flow_label(flow),
        "created": iso(flow.created),
        "finished": iso(flow.finished),
        "deleted": iso(flow.deleted),
        "state": "completed" if flow.state == 2 else "in-progress",
        "kind": _KINDS[flow.kind],
        "duration": duration_text((flow.finished or now()) - flow.created),
        "branch_name": flow.branch_name,
        "args": flow.args,
        "trigger": flow.trigger,
        "artifacts": {},
        "seq": flow.seq,
        "report_entries": [],
        "stages": [stage_json(stage) for stage in branch.stages if stage.deleted is None],
        "runs": [run_json(run) for run in flow.runs],
        "project_id": branch.project_id,
        "project_name": branch.project.name,
        "branch_id": flow.branch_id,
        "base_branch_name": branch.name,
    }


def flow_label(flow: Flow) -> str:
    return flow.label or f"{flow.id}."


def run_json(run: Run) -> dict[str, Any]:
    """Return a run with counts of its jobs and tests. Issues and artifacts are not kept, so their counts are 0."""
    flow = run.flow
    return {
        "id": run.id,
        "label": run.label,
        "created": iso(run.created),
        "deleted": iso(run.deleted),
        "started": iso(run.started),
        "finished": iso(run.finished),
        "processed_at": iso(run.processed_at),
        "duration": duration_text((run.finished or now()) - (run.started or run.created)),
        "state": _RUN_WORDS[RunState(run.state)],
        "stage_name": run.stage.name,
        "stage_id": run.stage_id,
        "flow_id": run.flow_id,
        "flow_kind": _KINDS[flow.kind],
        "flow_label": flow_label(flow),
        "args": run.args,
        **_job_counts(run),
        **_test_counts(run),
        **_change_counts(run),
        "issues_total": 0,
        "issues_new": 0,
        "repo_data": None,
        "reason": run.reason,
        "note": run.note,
        "seq": run.seq,
        "project_id": flow.branch.project_id,
        "project_name": flow.branch.project.name,
        "branch_id": flow.branch_id,
        "branch_name": flow.branch.name,
        "artifacts_total": 0,
        "report_entries": [],
    }


def _job_counts(run: Run) -> dict[str, int]:
    session = object_session(run)
    query = select(Job.state, Job.completion_status).where(Job.run_id == run.id, Job.covered.is_(False))
    rows = session.execute(query).all() if session else []
    states = [row.state for row in rows]
    return {
        "jobs_total": len(rows),
        "jobs_waiting": sum(state in (JobState.PREQUEUED, JobState.QUEUED) for state in states),
        "jobs_executing": states.count(JobState.ASSIGNED),
        "jobs_processing": states.count(JobState.EXECUTING_FINISHED),
        "jobs_error": sum(bool(row.completion_status) for row in rows),
    }


def _test_counts(run: Run) -> dict[str, int]:
    session = object_session(run)
    if session is None:
        return {"tests_total": 0, "tests_passed": 0, "tests_not_run": 0}
    query = select(TestResult.result).join(Job, Job.id == TestResult.job_id)
    found = list(session.scalars(query.where(Job.run_id == run.id, Job.covered.is_(False))))
    return {"tests_total": len(found), "tests_passed": found.count(PASSED), "tests_not_run": found.count(0)}


def _change_counts(run: Run) -> dict[str, int]:
    session = object_session(run)
    # The real server compares a run with earlier ones only when it is over.
    if session is None or run.state != RunState.PROCESSED:
        return dict.fromkeys(("new_cnt", "no_change_cnt", "regr_cnt", "fix_cnt"), 0)
    return change_counts(session, run)


def result_json(one: ComparedResult) -> dict[str, Any]:
    """Return one test's result with its history."""
    result, job = one.result, one.job
    return {
        "id": result.id,
        # Tests have no records of their own here: the result's id is as good to tell them apart.
        "test_case_id": result.id,
        "test_case_name": result.name,
        "result": result.result,
        "values": result.values,
        "cmd_line": result.cmd_line,
        "instability": one.instability,
        "age": one.age,
        "change": one.change,
        "relevancy": one.relevancy,
        "job_id": job.id,
        "job_name": job.name,
        "agents_group_name": job.group.name,
        "agents_group_id": job.group_id,
        "system_name": job.system.name,
        "system_id": job.system_id,
        "agent_name": job.agent.name if job.agent else "",
        "agent_id": job.agent_id or 0,
    }


def job_json(job: Job, *, with_steps: bool = True, mask: bool = True) -> dict[str, Any]:
    """Return one job.

    Args:
        mask: hide secrets in the steps' fields; only its agent gets them unmasked.
    """
    duration = duration_text((job.finished or now()) - job.started) if job.started else ""
    data: dict[str, Any] = {
        "id": job.id,
        "created": iso(job.created),
        "deleted": iso(job.deleted),
        "started": iso(job.started),
        "finished": iso(job.finished),
        "completed": iso(job.completed),
        "duration": duration,
        "name": job.name,
        "state": job.state,
        "completion_status": job.completion_status,
        "timeout": job.timeout,
        "covered": job.covered,
        "notes": job.notes,
        "system_id": job.system_id,
        "system": job.system.name,
        "executor": job.system.executor,
        "run_id": job.run_id,
        "agents_group_id": job.group_id,
        "agents_group_name": job.group.name,
        "agent_id": job.agent_id or 0,
        "agent_name": job.agent.name if job.agent else "",
    }
    if with_steps:
        data["steps"] = [step_json(step, mask=mask) for step in job.steps]
    return data


def step_json(step: Step, *, mask: bool = True) -> dict[str, Any]:
    """Return one step with its tool's fields beside its own."""
    fields = step.masked if mask else step.fields
    result = step.result
    if result and isinstance(result.get("duration"), int | float):
        result = {**result, "duration": duration_text(result["duration"])}
    return {
        "id": step.id,
        "index": step.index,
        "tool": step.tool.name,
        "tool_id": step.tool_id,
        "tool_location": step.tool.location,
        "tool_entry": step.tool.entry,
        "tool_version": step.tool.version,
        "job_id": step.job_id,
        "status": step.status,
        "result": result,
        "name": _step_name(step.tool.name, fields),
        **fields,
    }


def _step_name(tool: str, fields: dict[str, Any]) -> str:
    if tool == "shell" and fields.get("script"):
        return str(fields["script"]).strip().partition("\n")[0] + "..."
    if tool == "shell" and fields.get("cmd"):
        return str(fields["cmd"])
    if tool == "git" and fields.get("checkout"):
        return f"checkout: {fields['checkout']}"
    return tool
