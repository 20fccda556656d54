"""Which agent gets which job. Called whenever a job begins to wait or an agent becomes free: there is no tick."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kraken_fleet.model import JobState
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.tables import Agent, Assignment, Job, Run

# An agent polls every 5 s: one that was silent for longer is taken only when there is no other.
_FRESH_SECONDS = 15.0


def assign(session: Session, core: Core) -> int:
    """Gives waiting jobs, oldest run first, to idle agents that fit. Returns how many.

    An agent fits when it is authorised, enabled and active, in the job's group, has the job's system (unless that is
    `any`, or the executor brings its own), and has reported the job's executor. Among those that fit, the one that has
    been without work for longest gets it.
    """
    session.flush()
    # Jobs first: mostly none waits, and a fleet has thousands of idle agents.
    waiting = list(session.scalars(_WAITING))
    if not waiting:
        return 0
    idle = list(session.scalars(select(Agent).where(*_IDLE)))
    if not idle:
        return 0
    moment = now()
    idle.sort(key=lambda agent: (_stale(core, agent, moment), agent.last_assigned, agent.id))
    groups = _members(session, {job.group_id for job in waiting})
    given = 0
    for job in waiting:
        members = groups.get(job.group_id, set())
        agent = next((agent for agent in idle if agent.id in members and _fits(agent, job)), None)
        if agent is not None:
            idle.remove(agent)
            agent.job, job.agent = job, agent
            job.assigned = agent.last_assigned = moment
            given += 1
    session.flush()
    return given


_IDLE = (
    Agent.job_id.is_(None),
    Agent.authorized.is_(True),
    Agent.disabled.is_(False),
    Agent.state == 0,
    Agent.deleted.is_(None),
)
_WAITING = (
    select(Job)
    .join(Run, Run.id == Job.run_id)
    .where(Job.state == JobState.QUEUED, Job.agent_id.is_(None))
    .order_by(Run.created, Job.created, Job.id)
    .limit(1000)
)


def _stale(core: Core, agent: Agent, moment: float) -> bool:
    seen = core.roster.last_seen(agent.id, agent.last_seen) or 0.0
    return moment - seen > _FRESH_SECONDS


def _members(session: Session, group_ids: set[int]) -> dict[int, set[int]]:
    rows = session.execute(
        select(Assignment.group_id, Assignment.agent_id).where(Assignment.group_id.in_(group_ids))
    ).all()
    members: dict[int, set[int]] = {}
    for group_id, agent_id in rows:
        members.setdefault(group_id, set()).add(agent_id)
    return members


def _fits(agent: Agent, job: Job) -> bool:
    info = agent.host_info or {}
    if job.system.executor != "local":
        return bool(info.get(job.system.executor))
    return job.system.name == "any" or job.system.name == info.get("system")
