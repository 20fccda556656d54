"""Flows and runs: how they start, what follows what, and when they are over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kraken_fleet.model import JobState, RunState
from kraken_fleet.server.clock import now
from kraken_fleet.server.flows import jobs
from kraken_fleet.server.flows.fields import fill, run_context
from kraken_fleet.server.flows.job_making import copy_job, make_jobs
from kraken_fleet.server.flows.stage_code import StageError
from kraken_fleet.server.store.tables import Branch, Flow, Job, Run, Sequence, Stage

_OVER = (RunState.COMPLETED, RunState.PROCESSED)


def start_flow(
    session: Session,
    branch: Branch,
    kind: int,
    args: Mapping[str, Mapping[str, Any]],
    reason: str = "manual",
    trigger: Mapping[str, Any] | None = None,
) -> Flow:
    """Start a flow with a run for each enabled stage without a parent.

    Args:
        kind: 0 is ci, 1 is dev.
        args: values for parameters by stage name; those under `Common` go to all.
        reason: why its runs start.
        trigger: what a webhook said.
    """
    common = dict(args.get("Common", {}))
    branch_name = common.pop("BRANCH", None) or branch.branch_name
    seq = _count(session, branch, None, kind)
    label = {"KK_FLOW_SEQ": str(seq["shared"]), "KK_CI_DEV_FLOW_SEQ": str(seq["own"])}
    about = {
        "KK_FLOW_TYPE": ("CI", "DEV")[kind],
        "KK_BRANCH": branch_name or "master",
        "branch": branch_name or "master",
    }
    flow = Flow(branch=branch, kind=kind, branch_name=branch_name, args=common | label | about, seq=seq)
    flow.trigger = dict(trigger) if trigger else None
    session.add(flow)
    session.flush()
    for stage in branch.stages:
        schema = stage.schema
        at_root = schema["parent"] == "root" and schema["triggers"].get("parent", True) is not False
        if stage.deleted is None and stage.enabled and at_root:
            start_run(session, stage, flow, reason, args.get(stage.name, {}))
    if not flow.runs:
        flow.state, flow.finished = 2, now()
    return flow


def start_run(session: Session, stage: Stage, flow: Flow, reason: str, args: Mapping[str, Any] | None = None) -> Run:
    """Start a run of a stage; when the flow has one already, its jobs are made anew and cover the old ones."""
    for run in flow.runs:
        if run.stage_id == stage.id:
            trigger_jobs(session, run, replay=True)
            return run
    seq = _count(session, stage.branch, stage, flow.kind)
    defaults = {parameter["name"]: parameter["default"] for parameter in stage.schema["parameters"]}
    numbers = {"KK_RUN_SEQ": str(seq["shared"]), "KK_CI_DEV_RUN_SEQ": str(seq["own"])}
    values = {**defaults, **flow.args, **(args or {}), **numbers}
    run = Run(flow=flow, stage=stage, reason=reason, args=values, seq=seq, state=RunState.CREATING)
    session.add(run)
    session.flush()
    _label(run)
    if stage.schema["triggers"].get("manual"):
        run.state = RunState.MANUAL
    else:
        trigger_jobs(session, run)
    return run


def _start_followers(session: Session, run: Run) -> None:
    """Start the stages whose parent is this run's stage."""
    for stage in run.stage.branch.stages:
        triggers = stage.schema["triggers"]
        wanted = triggers.get("parent", False) or triggers.get("manual", False)
        if stage.deleted is None and stage.enabled and stage.schema["parent"] == run.stage.name and wanted:
            start_run(session, stage, run.flow, "parent")


def trigger_jobs(session: Session, run: Run, *, replay: bool = False) -> None:
    """Make a run's jobs. What makes that impossible ends the run with a note."""
    before = [job for job in run.jobs if not job.covered]
    run.state = RunState.IN_PROGRESS
    run.started = now()
    run.finished = run.processed_at = None
    run.flow.state, run.flow.finished = 1, None
    try:
        # A savepoint: what was made before the fault is undone, and the run itself keeps its note.
        with session.begin_nested():
            made = make_jobs(session, run)
    except StageError as error:
        complete(session, run, f"Triggering run's jobs failed: {error}")
        return
    if replay:
        for job in before:
            job.covered = True
    if all(job.state == JobState.COMPLETED for job in made):
        complete(session, run)


def rerun(session: Session, job: Job) -> Job:
    """Put a copy of a job into the queue; it covers the old one."""
    copy = copy_job(session, job, job.timeout)
    job.covered = True
    job.run.state, job.run.finished, job.run.processed_at = RunState.IN_PROGRESS, None, None
    job.run.flow.state, job.run.flow.finished = 1, None
    return copy


def finish_job(session: Session, job: Job) -> None:
    """End a job whose agent has nothing left to do, and its run with it when it was the last."""
    jobs.finish(job)
    complete_if_done(session, job.run)


def cancel_job(session: Session, job: Job, note: str, status: int) -> None:
    """End a job from outside, see jobs.cancel, and its run with it when it was the last."""
    jobs.cancel(job, note, status)
    complete_if_done(session, job.run)


def complete_if_done(session: Session, run: Run) -> None:
    """Complete a run whose jobs are all over."""
    session.flush()
    open_jobs = select(Job.id).where(Job.run_id == run.id, Job.state != JobState.COMPLETED).limit(1)
    if run.state not in _OVER and session.execute(open_jobs).first() is None:
        complete(session, run)


def complete(session: Session, run: Run, note: str | None = None) -> None:
    """End a run. Stages whose parent it is start when it had jobs and none of them failed; then the flow may end."""
    run.state = RunState.PROCESSED
    run.finished = run.processed_at = now()
    run.started = run.started or run.finished
    run.note = "\n".join(filter(None, (run.note, note))) or None
    session.flush()
    outcomes = select(Job.completion_status).where(Job.run_id == run.id, Job.covered.is_(False)).distinct()
    if set(session.scalars(outcomes)) == {jobs.ALL_OK}:
        _start_followers(session, run)
    flow = run.flow
    if all(other.state in (*_OVER, RunState.MANUAL) for other in flow.runs):
        flow.state, flow.finished = 2, now()


def _label(run: Run) -> None:
    schema, context = run.stage.schema, run_context(run)
    if schema.get("flow_label") and run.flow.label is None:
        run.flow.label = fill(str(schema["flow_label"]), run.args, context, mask=True)
    if schema.get("run_label"):
        run.label = fill(str(schema["run_label"]), run.args, context, mask=True)


def _count(session: Session, branch: Branch, stage: Stage | None, kind: int) -> dict[str, int]:
    stage_id = stage.id if stage else None
    counted = {}
    for name, sequence in (("shared", "shared"), ("own", ("ci", "dev")[kind])):
        wanted = (Sequence.branch_id == branch.id, Sequence.stage_id.is_(stage_id), Sequence.kind == sequence)
        row = session.scalars(select(Sequence).where(*wanted)).one_or_none()
        if row is None:
            row = Sequence(branch_id=branch.id, stage_id=stage_id, kind=sequence, value=0)
            session.add(row)
        row.value += 1
        counted[name] = row.value
    return counted
