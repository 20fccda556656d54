"""Flows, runs and jobs: starting, listing, cancelling, running again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import desc, select
from sqlalchemy.orm import selectinload
from starlette.responses import Response

from kraken_fleet.model import JobState, RunState
from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.flows import jobs, runs
from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.render_jobs import flow_json, job_json, run_json
from kraken_fleet.server.routes.common import answer, need, newest, page
from kraken_fleet.server.store.tables import Branch, Flow, Job, Run, Stage

router = APIRouter()
_VIEW = "only superadmin, project admin, project power and project viewer user roles can get "
_RUN = "only superadmin, project admin and project power roles can "
FlowArgs = Annotated[Any, Depends(body({"args": "object"}))]
WantedRun = Annotated[Any, Depends(body({"stage_id": "integer", "args": "object"}))]


@router.get("/branches/{branch_id:int}/flows/{kind}", dependencies=[Depends(admin(_VIEW + "flows"))])
async def flows(core: CoreDep, branch_id: int, kind: str, start: int = 0, limit: int = 10) -> Response:
    with core.db.read() as session:
        need(session, Branch, branch_id, f"Branch {branch_id} not found")
        query = select(Flow).where(Flow.branch_id == branch_id, Flow.kind == int(kind == "dev"))
        return page(core, session, query.order_by(desc(Flow.id)), start, limit, flow_json)


@router.post("/branches/{branch_id:int}/flows/{kind}", dependencies=[Depends(admin(_RUN + "create a flow"))])
async def create_flow(core: CoreDep, branch_id: int, kind: str, wanted: FlowArgs) -> Response:
    with core.db.write() as session:
        branch = need(session, Branch, branch_id, f"Branch {branch_id} not found")
        flow = runs.start_flow(session, branch, int(kind == "dev"), wanted.get("args", {}))
        assign(session, core)
        return answer(flow_json(flow), 201)


@router.get("/flows/{flow_id:int}", dependencies=[Depends(admin(_VIEW + "a flow"))])
async def flow(core: CoreDep, flow_id: int) -> Response:
    with core.db.read() as session:
        return answer(flow_json(need(session, Flow, flow_id, "Flow not found")))


@router.get("/flows/{flow_id:int}/runs", dependencies=[Depends(admin(_VIEW + "flow runs"))])
async def flow_runs(core: CoreDep, flow_id: int) -> Response:
    with core.db.read() as session:
        need(session, Flow, flow_id, "Flow not found")
        query = select(Run).where(Run.flow_id == flow_id)
        return answer([run_json(run) for run in newest(core, session, query, Run.id)])


@router.post("/flows/{flow_id:int}/runs", dependencies=[Depends(admin(_RUN + "create a run"))])
async def create_run(core: CoreDep, flow_id: int, wanted: WantedRun) -> Response:
    with core.db.write() as session:
        found = need(session, Flow, flow_id, "Flow not found")
        stage = need(session, Stage, wanted.get("stage_id", -1), "Stage not found")
        run = runs.start_run(session, stage, found, "manual", wanted.get("args"))
        assign(session, core)
        return answer(run_json(run), 201)


@router.get("/stages/{stage_id:int}/runs", dependencies=[Depends(admin(_VIEW + "runs"))])
async def stage_runs(core: CoreDep, stage_id: int) -> Response:
    with core.db.read() as session:
        need(session, Stage, stage_id, "Stage not found")
        query = select(Run).where(Run.stage_id == stage_id)
        return answer([run_json(run) for run in newest(core, session, query, Run.id)])


@router.get("/runs/{run_id:int}", dependencies=[Depends(admin(_VIEW + "a run"))])
async def run(core: CoreDep, run_id: int) -> Response:
    with core.db.read() as session:
        return answer(run_json(need(session, Run, run_id, "Run not found")))


@router.put("/runs/{run_id:int}", dependencies=[Depends(admin(_RUN + "run jobs"))])
async def run_jobs_now(core: CoreDep, run_id: int) -> Response:
    with core.db.write() as session:
        found = need(session, Run, run_id, "Run not found")
        runs.trigger_jobs(session, found, replay=found.state != RunState.MANUAL)
        assign(session, core)
        return answer(run_json(found))


@router.delete("/runs/{run_id:int}", dependencies=[Depends(admin(_RUN + "cancel a run"))])
async def cancel_run(core: CoreDep, run_id: int) -> Response:
    with core.db.write() as session:
        found = need(session, Run, run_id, "Run not found")
        # A run that waits for a person has no job whose end would end it.
        if found.state == RunState.MANUAL:
            runs.complete(session, found)
        for job in found.jobs:
            runs.cancel_job(session, job, "canceled by user", jobs.USER_CANCEL)
        found.note = f"run {run_id} canceled by user"
    return answer({})


@router.get("/runs/{run_id:int}/jobs", dependencies=[Depends(admin(_VIEW + "run jobs"))])
async def run_jobs(
    core: CoreDep,
    run_id: int,
    start: int = 0,
    limit: int = 10,
    include_covered: bool = False,  # noqa: FBT001, FBT002 a query parameter
) -> Response:
    with core.db.read() as session:
        need(session, Run, run_id, "Run not found")
        query = select(Job).where(Job.run_id == run_id).order_by(Job.id).options(selectinload(Job.steps))
        if not include_covered:
            query = query.where(Job.covered.is_(False))
        return page(core, session, query, start, limit, job_json)


@router.get("/jobs/{job_id:int}", dependencies=[Depends(admin(_VIEW + "a job"))])
async def job(core: CoreDep, job_id: int) -> Response:
    with core.db.read() as session:
        return answer(job_json(need(session, Job, job_id, "Job not found")))


@router.put("/jobs/{job_id:int}", dependencies=[Depends(admin(_RUN + "rerun a job"))])
async def rerun_job(core: CoreDep, job_id: int) -> Response:
    with core.db.write() as session:
        copy = runs.rerun(session, need(session, Job, job_id, "Job not found"))
        assign(session, core)
        return answer(job_json(copy))


@router.delete("/jobs/{job_id:int}", dependencies=[Depends(admin(_RUN + "cancel a job"))])
async def cancel_job(core: CoreDep, job_id: int) -> Response:
    with core.db.write() as session:
        found = need(session, Job, job_id, "Job not found")
        if found.state != JobState.COMPLETED:
            runs.cancel_job(session, found, "canceled by user", jobs.USER_CANCEL)
    return answer({})
