"""What happens when nothing happens: time-outs, agents that went silent, and the batches that wait to be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from sqlalchemy import Table, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from kraken_fleet.model import JobState, RunState
from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.clock import iso, now
from kraken_fleet.server.core import Core
from kraken_fleet.server.flows import jobs, runs
from kraken_fleet.server.store.tables import Agent, Job, LoginSession, Run, Stage

log = logging.getLogger(__name__)

# One transaction for all lines that came in a fifth of a second, instead of one for each.
_LOG_INTERVAL = 0.2
_FOLD_INTERVAL = 10.0
_DAY = 86400.0
_UNAUTHORIZED_SECONDS = _DAY
_UNAUTHORIZED_SECONDS_WHEN_FULL = 600.0
_PRUNE_INTERVAL = 600.0
# kraken/server/consts.py, DEFAULT_RUN_TIMEOUT.
_RUN_TIMEOUT = 3 * 3600


async def write_logs(core: Core) -> None:
    """Write waiting log lines five times a second, for ever."""
    while True:
        await asyncio.sleep(_LOG_INTERVAL)
        _guarded(core.logs.write)


async def fold_database(core: Core) -> None:
    """Keep the write-ahead log short, in a thread, for ever."""
    while True:
        await asyncio.sleep(_FOLD_INTERVAL)
        await asyncio.to_thread(_guarded, core.db.fold)


async def watch(core: Core) -> None:
    """Look after the server for ever: once each watchdog_interval."""
    pruned = 0.0
    while True:
        await asyncio.sleep(core.settings.watchdog_interval)
        _guarded(lambda: look(core))
        if now() - pruned > _PRUNE_INTERVAL:
            pruned = now()
            _guarded(lambda: prune(core))


def look(core: Core) -> None:
    """Look once: write when agents were last seen, end what has timed out, free what is stuck."""
    with core.db.write() as session:
        core.roster.write_seen(session)
    with core.db.write() as session:
        _expire_jobs(session)
        _expire_runs(session)
        _retire_agents(core, session)
        assign(session, core)


def prune(core: Core) -> None:
    """Drop log lines and log-ins that are too old, and agents that asked for authorization and then went silent."""
    forget_unauthorized(core)
    core.logs.drop_older(core.settings.log_retention_days * _DAY)
    with core.db.write() as session:
        session.execute(delete(LoginSession).where(LoginSession.created < now() - core.settings.session_days * _DAY))


def forget_unauthorized(core: Core) -> None:
    """Drop records of agents that nobody ever authorized and that are silent: for a day, or shorter when many wait."""
    most = core.settings.limits.unknown_agents
    patience = _UNAUTHORIZED_SECONDS if len(core.roster.discovered) < 0.8 * most else _UNAUTHORIZED_SECONDS_WHEN_FULL
    never = (Agent.authorized.is_(False), Agent.host_info.is_(None), Agent.deleted.is_(None))
    # The newest record stays: SQLite would give its id to the next agent, and somebody may just be authorizing that id.
    newest = select(func.max(Agent.id)).scalar_subquery()
    with core.db.write() as session:
        core.roster.write_seen(session)
        worked = select(Job.agent_id).where(Job.agent_id.is_not(None))
        old = select(Agent.id, Agent.address).where(*never, Agent.last_seen < now() - patience, Agent.id != newest)
        gone = session.execute(old.where(~Agent.assignments.any(), Agent.id.not_in(worked))).all()
        if gone:
            session.connection().execute(_FORGET, [{"agent": row.id} for row in gone])
        for row in gone:
            core.roster.drop(row.address, row.id)


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:  # the watchdog has to outlive any single failure
        log.exception("the watchdog failed")


def _expire_jobs(session: Session) -> None:
    late = Job.assigned + Job.timeout < now()
    for job in session.scalars(select(Job).where(Job.state == JobState.ASSIGNED, late)):
        runs.cancel_job(session, job, f"job expired after {job.timeout}s", jobs.SERVER_TIMEOUT)


def _expire_runs(session: Session) -> None:
    limit = func.coalesce(Stage.schema["timeout"].as_float(), _RUN_TIMEOUT)
    deadline = func.coalesce(Run.started, Run.created) + limit
    query = select(Run, deadline).join(Stage, Stage.id == Run.stage_id)
    for run, moment in session.execute(query.where(Run.state == RunState.IN_PROGRESS, deadline < now())).all():
        run.note = f"run {run.id} timed out, deadline was: {iso(moment)}"
        for job in run.jobs:
            runs.cancel_job(session, job, run.note, jobs.SERVER_TIMEOUT)
        runs.complete_if_done(session, run)


# Past the ORM: when a network fails, a whole fleet is silent at the same moment, and nobody is answered meanwhile.
_AGENTS = cast(Table, Agent.__table__)
_FORGET = delete(_AGENTS).where(_AGENTS.c.id == bindparam("agent"))
_RETIRE = update(_AGENTS).where(_AGENTS.c.id == bindparam("agent")).values(state=1, status_line=bindparam("said"))


def _retire_agents(core: Core, session: Session) -> None:
    moment, patience = now(), core.settings.agent_timeout
    # Columns only: a busy fleet is looked through every second, and nearly always nothing is wrong.
    columns = (Agent.id, Agent.address, Agent.last_seen, Agent.job_id, Job.state.label("job_state"), Job.assigned)
    silent = or_(Agent.job_id.is_not(None), Agent.last_seen < moment - patience)
    query = select(*columns).outerjoin(Job, Job.id == Agent.job_id)
    gone = []
    for row in session.execute(query.where(Agent.state == 0, Agent.deleted.is_(None), silent)).all():
        # While the server was down it saw no agent: silence counts from its start.
        silence = moment - max(core.roster.last_seen(row.id, row.last_seen) or 0.0, core.started)
        if silence > patience:
            gone.append(row)
        elif row.job_state == JobState.QUEUED and min(silence, moment - row.assigned) > core.settings.pickup_timeout:
            agent = session.get_one(Agent, row.id)
            jobs.queue_again(agent, f"agent {agent.name} did not take the job, queued again")
    if gone:
        said = f"agent was not seen for {patience:.0f} seconds, inactivated"
        session.connection().execute(_RETIRE, [{"agent": row.id, "said": said} for row in gone])
    for row in gone:
        core.roster.forget(row.address)
        if row.job_id is not None:
            agent = session.get_one(Agent, row.id)
            jobs.queue_again(agent, f"agent {agent.name} is not alive, queued again")
