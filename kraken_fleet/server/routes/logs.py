"""Log lines of jobs and steps, as JSON pages and as one text file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy import ColumnElement
from starlette.responses import Response, StreamingResponse

from kraken_fleet.server.clock import iso_micro
from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import LARGEST
from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render_jobs import job_json
from kraken_fleet.server.routes.common import answer, need
from kraken_fleet.server.store.tables import Agent, Branch, Flow, Job, LogLine, Run

router = APIRouter()
# Under the server's root, not under /api: that is where kraken/server/server.py puts these two.
text_router = APIRouter()
_VIEW = "only superadmin, project admin, project power and project viewer user roles can get job logs"
_SERVICES = "only superadmin can get services logs"
# The real server knows these three levels; any other word means the last.
_AT_LEAST = {"ERROR": ("ERROR",), "WARNING": ("WARNING", "ERROR"), "INFO": ("INFO", "WARNING", "ERROR")}
_FETCH = "only superadmin, project admin, project power user and project viewer roles can fetch job logs"


@router.get("/jobs/{job_id:int}/logs", dependencies=[Depends(admin(_VIEW))])
async def job_logs(
    core: CoreDep,
    job_id: int,
    start: int,
    limit: int,
    order: str | None = None,
    internals: bool = False,  # noqa: FBT001, FBT002 a query parameter
) -> Response:
    conditions = [LogLine.job == job_id]
    if not internals:
        conditions += [LogLine.tool != "", LogLine.service == "agent"]
    return _page(core, job_id, conditions, start, limit, order)


@router.get("/jobs/{job_id:int}/{step_idx:int}/logs", dependencies=[Depends(admin(_VIEW))])
async def step_logs(
    core: CoreDep, job_id: int, step_idx: int, start: int, limit: int, order: str | None = None
) -> Response:
    return _page(core, job_id, [LogLine.job == job_id, LogLine.step == step_idx], start, limit, order)


@router.get("/logs", dependencies=[Depends(admin(_SERVICES))])
async def all_logs(
    core: CoreDep,
    start: int,
    limit: int,
    branch_id: int | None = None,
    flow_id: int | None = None,
    run_id: int | None = None,
    job_id: int | None = None,
    agent_id: int | None = None,
    level: str | None = None,
    order: str | None = None,
) -> Response:
    """Return the lines that the given filters select, of every service."""
    _check_page(start, limit, order)
    wanted = (
        (LogLine.branch, Branch, branch_id),
        (LogLine.flow, Flow, flow_id),
        (LogLine.run, Run, run_id),
        (LogLine.job, Job, job_id),
        (LogLine.agent, Agent, agent_id),
    )
    given = [(column, table, value) for column, table, value in wanted if value is not None]
    with core.db.read() as session:
        for _, table, value in given:
            need(session, table, value, f"{table.__name__} not found")
    conditions = [column == value for column, _, value in given]
    if level:
        conditions.append(LogLine.level.in_(_AT_LEAST.get(level.upper(), _AT_LEAST["INFO"])))
    total = core.logs.count(*conditions)
    rows = core.logs.page(*conditions, order=order or "asc", start=start, limit=_most(core, limit))
    return answer({"items": [{**_line(row), **_origin(row)} for row in rows], "total": total})


@text_router.get("/job_log/{job_id:int}", dependencies=[Depends(admin(_FETCH))])
async def job_text(core: CoreDep, job_id: int) -> Response:
    return _text(core, job_id, [LogLine.job == job_id], f"job_log_{job_id}.txt")


@text_router.get("/job_log/{job_id:int}/{step_idx:int}", dependencies=[Depends(admin(_FETCH))])
async def step_text(core: CoreDep, job_id: int, step_idx: int) -> Response:
    conditions = [LogLine.job == job_id, LogLine.step == step_idx]
    return _text(core, job_id, conditions, f"step_log_{job_id}_{step_idx}.txt")


def _page(
    core: Core, job_id: int, conditions: list[ColumnElement[bool]], start: int, limit: int, order: str | None
) -> Response:
    _check_page(start, limit, order)
    with core.db.read() as session:
        job = job_json(need(session, Job, job_id, "Job not found"))
    total = core.logs.count(*conditions)
    rows = core.logs.page(*conditions, order=order or "asc", start=start, limit=_most(core, limit))
    return answer({"items": [_line(row) for row in rows], "total": total, "job": job})


def _most(core: Core, limit: int) -> int:
    return min(limit, core.settings.limits.page_items)


def _check_page(start: int, limit: int, order: str | None) -> None:
    if order not in (None, "asc", "desc"):
        raise Problem(400, f"incorrect order value: {order}")
    for name, value in (("start", start), ("limit", limit)):
        if not 0 <= value <= LARGEST:
            raise Problem(400, f"incorrect {name} value: {value}")


def _line(row: LogLine) -> dict[str, Any]:
    return {
        "time": iso_micro(row.time),
        "message": row.message,
        "service": row.service,
        "host": row.host,
        "level": row.level.lower()[:4],
        "job": row.job,
        "tool": row.tool,
        "step": row.step,
    }


def _origin(row: LogLine) -> dict[str, Any]:
    """Return what lines of several jobs and services carry beyond those of one job."""
    names = ("path", "lineno", "branch", "flow_kind", "flow", "run", "agent")
    return {name: getattr(row, name) for name in names}


def _text(core: Core, job_id: int, conditions: list[ColumnElement[bool]], filename: str) -> Response:
    with core.db.read() as session:
        need(session, Job, job_id, "Job not found")
    headers = {"Content-Disposition": f"attachment; filename={filename}"}
    return StreamingResponse(_lines(core, conditions), media_type="text/plain", headers=headers)


async def _lines(core: Core, conditions: list[ColumnElement[bool]]) -> AsyncIterator[str]:
    """Return a log piece by piece: agents are answered in between."""
    yield "message\n"
    for messages in core.logs.chunks(*conditions):
        yield "".join(f"{message}\n" for message in messages)
        await asyncio.sleep(0)
