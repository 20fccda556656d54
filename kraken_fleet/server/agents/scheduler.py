"""Which agent gets which job. Called whenever a job begins to wait or an agent becomes free: there is no tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Row, Table, select
from sqlalchemy.orm import Session

from kraken_fleet.model import NO_JOBS_KEY, JobState
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.store.tables import Agent, Assignment, Job, Run, System

# An agent polls every 5 s: one that was silent for longer is taken only when there is no other.
_FRESH_SECONDS = 15.0
# So many waiting jobs are read at a time.
_AT_A_TIME = 50


def assign(session: Session, core: Core) -> int:
    """Give waiting jobs, oldest run first, to idle agents that fit. Returns how many.

    An agent fits when it is authorized, enabled and active, has not said that it takes no jobs, is in the job's group,
    has the job's system (unless that is `any`, or the executor brings its own), and has reported the job's executor.
    Among those that fit, the one that has been without work for longest gets it.
    """
    session.flush()
    # Jobs first: mostly none waits, and a fleet has thousands of idle agents.
    if session.connection().execute(_ANY_WAITING).first() is None:
        return 0
    idle = _idle(session, core)
    # Columns only, and no more rows than it takes: each time that an agent becomes free thousands may wait.
    groups = {group_id for agent in idle for group_id in agent.groups}
    pairs: dict[int, int] = {}
    with session.execute(_WAITING.where(Job.group_id.in_(groups))) as waiting:
        for row in waiting:
            agent = next((agent for agent in idle if _fits(agent, row.group_id, row.name, row.executor)), None)
            if agent is not None:
                idle.remove(agent)
                pairs[agent.id] = row.id
            if not idle:
                break
    _give(session, pairs)
    return len(pairs)


@dataclass(frozen=True, slots=True)
class _Idle:
    id: int
    info: Mapping[str, Any]
    groups: frozenset[int]


# Past the ORM, since each change of each agent asks this.
_JOBS = cast(Table, Job.__table__)
_ANY_WAITING = select(_JOBS.c.id).where(_JOBS.c.state == JobState.QUEUED, _JOBS.c.agent_id.is_(None)).limit(1)
_WAITING = (
    select(Job.id, Job.group_id, System.name, System.executor)
    .join(Run, Run.id == Job.run_id)
    .join(System, System.id == Job.system_id)
    .where(Job.state == JobState.QUEUED, Job.agent_id.is_(None))
    .order_by(Run.created, Job.created, Job.id)
    .execution_options(yield_per=_AT_A_TIME)
)
_IDLE = select(Agent.id, Agent.host_info, Agent.last_assigned, Agent.last_seen).where(
    Agent.job_id.is_(None),
    Agent.authorized.is_(True),
    Agent.disabled.is_(False),
    Agent.state == 0,
    Agent.deleted.is_(None),
)


def _idle(session: Session, core: Core) -> list[_Idle]:
    """Return the idle agents, the best choice first: seen lately, and longest without a job."""
    fresh_since = now() - _FRESH_SECONDS

    def choice(row: Row[Any]) -> tuple[bool, float, int]:
        seen = core.roster.last_seen(row.id, row.last_seen) or 0.0
        return seen < fresh_since, row.last_assigned, row.id

    rows = sorted(session.execute(_IDLE), key=choice)
    groups: dict[int, set[int]] = {}
    for agent_id, group_id in session.execute(select(Assignment.agent_id, Assignment.group_id)):
        groups.setdefault(agent_id, set()).add(group_id)
    return [
        _Idle(row.id, row.host_info or {}, frozenset(groups.get(row.id, ())))
        for row in rows
        if not (row.host_info or {}).get(NO_JOBS_KEY)
    ]


def _fits(agent: _Idle, group_id: int, system: str, executor: str) -> bool:
    if group_id not in agent.groups:
        return False
    if executor != "local":
        return bool(agent.info.get(executor))
    return system in ("any", agent.info.get("system"))


def _give(session: Session, pairs: Mapping[int, int]) -> None:
    """Join agents and jobs, by their ids."""
    moment = now()
    agents = {agent.id: agent for agent in session.scalars(select(Agent).where(Agent.id.in_(pairs)))}
    found = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(pairs.values())))}
    for agent_id, job_id in pairs.items():
        agent, job = agents[agent_id], found[job_id]
        agent.job, job.agent = job, agent
        job.assigned = agent.last_assigned = moment
    session.flush()
