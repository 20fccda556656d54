"""One agent: what it is, its groups, its jobs, its log, and how it differs from the inventory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError
from kraken_fleet.model import ALL_GROUP, LogLine, is_own_group
from kraken_fleet.web.context import Changing, SignedIn, Visit
from kraken_fleet.web.desired import desired_by_address, difference, host_names
from kraken_fleet.web.rows import Row

router = APIRouter()

_LOG_LINES = 200


@router.get("/agents/{agent_id:int}")
def show_agent(visit: SignedIn, agent_id: int) -> HTMLResponse:
    agent = visit.client.agent(agent_id)
    snapshot = visit.snapshot()
    wanted = desired_by_address(visit.console.settings).get(agent.address)
    return visit.page(
        "agent.html",
        agent=agent,
        row=Row.of(agent, datetime.now(UTC), host_names(visit.console.settings)),
        groups=[group for group in snapshot.groups if group.name != ALL_GROUP],
        jobs=visit.client.agent_jobs(agent_id),
        log=_agent_log(visit, agent_id),
        wanted=wanted,
        differences=difference(wanted, agent) if wanted else [],
        has_inventory=bool(visit.console.settings.inventory),
        snapshot=snapshot,
    )


@router.get("/jobs/{job_id:int}")
def show_job(visit: SignedIn, job_id: int) -> HTMLResponse:
    """Show one job: its steps and the end of its log; follow it while it runs.

    Whose projects they are the server decides by the person's own role, so the console's account does not read them.
    """
    client = visit.own_client
    try:
        job = client.job(job_id)
    except (NotSignedInError, NotPermittedError) as error:
        if client is visit.client:
            raise
        # It is the person's own account that is refused, and the session with the console's goes on.
        raise HTTPException(403, str(error)) from error
    log, log_error = _log(client, job_id)
    agent = visit.console.cache.last.agent(job.agent_id) if job.agent_id is not None else None
    label = host_names(visit.console.settings).label(agent) if agent else job.agent_name
    return visit.page("job.html", job=job, agent_label=label, log=log, log_error=log_error)


@router.post("/jobs/{job_id:int}/cancel")
def cancel_job(change: Changing, job_id: int) -> Response:
    """Cancel a job; its agent hears of it when it asks for the next step."""
    job = change.client.job(job_id)
    if job.over:
        change.session.notice = f"Job {job_id} is over already"
    else:
        change.do("cancel", f"job {job_id}", change.client.cancel_job, job_id)
    return change.back_to(f"/jobs/{job_id}")


@router.post("/agents/{agent_id:int}/groups")
def set_groups(change: Changing, agent_id: int, group: Annotated[list[int] | None, Form()] = None) -> Response:
    """Replace the agent's groups by the ticked ones; `all` stays as it is."""
    agent = change.client.agent(agent_id)
    # The page does not show these groups, so they cannot be ticked; PUT would take the agent out of them.
    kept = [known.id for known in agent.groups if known.name == ALL_GROUP or is_own_group(known.name)]
    ids = sorted({*kept, *(group or [])})
    change.do("set groups of", agent.address, change.client.set_agent_groups, agent_id, ids)
    return change.back_to(f"/agents/{agent_id}")


@router.post("/agents/{agent_id:int}/{action}")
def act(
    change: Changing,
    agent_id: int,
    action: str,
    note: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
) -> Response:
    agent = change.client.agent(agent_id)
    if action == "delete":
        change.delete([agent])
        return change.back_to("/agents")
    change.follow(action, [agent], change.verb(action, [agent], note, until))
    return change.back_to(f"/agents/{agent_id}")


def _agent_log(visit: Visit, agent_id: int) -> tuple[LogLine, ...]:
    if not visit.session.may_change:
        return ()
    try:
        return visit.client.logs(agent_id=agent_id, limit=_LOG_LINES)
    except FleetError:
        return ()


def _log(client: KrakenClient, job_id: int) -> tuple[tuple[LogLine, ...], str]:
    # The log lives in ClickHouse: a page about a job is worth showing without it.
    try:
        return client.job_log(job_id)[-_LOG_LINES:], ""
    except FleetError as error:
        return (), str(error)
