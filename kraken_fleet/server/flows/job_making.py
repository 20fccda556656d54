"""Jobs made from a stage's schema.

Rules, texts and traps are those of kraken/server/exec_utils.py 1.7.36: what a note says when no job can be made, and
that a group's name must be there exactly once, deleted groups included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kraken_fleet.model import ALL_GROUP, JobState
from kraken_fleet.server.flows import jobs
from kraken_fleet.server.flows.fields import Base, branch_context, fill, fill_step
from kraken_fleet.server.flows.stage_code import StageError, read_stage
from kraken_fleet.server.store.default_stage import DEFAULT_CODE
from kraken_fleet.server.store.tables import Agent, AgentsGroup, Assignment, Branch, Job, Run, Step, System, Tool

_DEFAULT_JOB_TIMEOUT = 300
_SHORTEST_JOB_TIMEOUT = 60
_AMBIGUOUS = "Multiple rows were found when one or none was required"


def check_stage(
    session: Session, branch: Branch, name: str, code: str | None, ctx: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Return a stage's code (the default when there is none) and the schema that it gives.

    Raises:
        StageError: it cannot be read, or names a parent stage or an agents group that is not there.
    """
    code = code or DEFAULT_CODE
    schema = read_stage(code, ctx or branch_context(branch))
    others = {stage.name for stage in branch.stages if stage.deleted is None and stage.name != name}
    if schema["parent"] not in {"root", *others}:
        raise StageError(f"Cannot find parent stage {schema['parent']}")
    for job in schema["jobs"]:
        for environment in job["environments"]:
            _check_group(session, environment["agents_group"])
    return code, schema


def make_jobs(session: Session, run: Run) -> list[Job]:
    """Make the jobs of a run: for every job, environment and system of its stage's schema, which is read anew.

    Raises:
        StageError: the schema cannot be read any more, or a group's name is there more than once or not at all.
    """
    stage = run.stage
    base = Base.of(run)
    stage.schema_code, schema = check_stage(session, stage.branch, stage.name, stage.schema_code, base.context)
    stage.schema = schema
    # Everything is put together in memory and written in a few statements: a run may have thousands of jobs.
    with session.no_autoflush:
        made = [
            job
            for spec in schema["jobs"]
            for environment in spec["environments"]
            for job in _make_jobs(session, run, base, spec, environment)
        ]
        session.flush()
        for job in made:
            for step in job.steps:
                fill_step(step, base)
    return made


def copy_job(session: Session, job: Job, timeout: int) -> Job:
    """Make a waiting job with the same steps.

    Args:
        timeout: its seconds.
    """
    with session.no_autoflush:
        copy = Job(run=job.run, name=job.name, state=JobState.QUEUED, timeout=timeout)
        copy.group, copy.system = job.group, job.system
        copy.steps = [Step(index=step.index, tool=step.tool, raw=dict(step.raw)) for step in job.steps]
        session.add(copy)
        session.flush()
        base = Base.of(job.run)
        for step in copy.steps:
            fill_step(step, base)
    return copy


def _systems(environment: Mapping[str, Any]) -> list[str]:
    systems = environment["system"]
    return [str(name) for name in systems] if isinstance(systems, list) else [systems]


def _make_jobs(
    session: Session, run: Run, base: Base, spec: Mapping[str, Any], environment: Mapping[str, Any]
) -> list[Job]:
    tools = [_tool(session, step["tool"]) for step in spec["steps"]]
    group_name = fill(environment["agents_group"], run.args, base.context, mask=False)
    group = _group(session, run, group_name)
    failure = _why_not(session, spec, tools, group, group_name)
    executor = str(environment.get("executor", "local")).lower()
    names = [fill(name, run.args, base.context, mask=False) for name in _systems(environment)]
    systems = {name: system_of(session, name, executor) for name in set(names)}
    timeout = max(int(spec.get("timeout", _DEFAULT_JOB_TIMEOUT)), _SHORTEST_JOB_TIMEOUT)
    made = []
    for name in names:
        job = Job(run=run, name=spec["name"], state=JobState.QUEUED, system=systems[name], timeout=timeout)
        job.group = group or _missing_group(session)
        session.add(job)
        if failure:
            job.state = JobState.COMPLETED
            job.completion_status, job.notes = failure
        else:
            steps = enumerate(zip(tools, spec["steps"], strict=True))
            job.steps = [Step(index=index, tool=tool, raw=raw) for index, (tool, raw) in steps]
        made.append(job)
    return made


def _why_not(
    session: Session,
    spec: Mapping[str, Any],
    tools: list[Tool | None],
    group: AgentsGroup | None,
    group_name: str,
) -> tuple[int, str] | None:
    if None in tools:
        name = spec["steps"][tools.index(None)]["tool"]
        return jobs.MISSING_TOOL, f"cannot find tool '{name}' in database"
    if group is None:
        return jobs.MISSING_GROUP, f"cannot find agents group '{group_name}' in database"
    # A cloud makes agents when there are jobs for them, so these wait. This server itself makes no machines.
    if not group.deployment.get("method") and not _usable_agents(session, group):
        return jobs.NO_AGENTS, f"there are no agents in group '{group.name}' - add some agents"
    return None


def _usable_agents(session: Session, group: AgentsGroup) -> int:
    query = select(func.count()).select_from(Assignment).join(Agent, Agent.id == Assignment.agent_id)
    usable = (Agent.state == 0, Agent.disabled.is_(False), Agent.authorized.is_(True))
    return session.scalar(query.where(Assignment.group_id == group.id, *usable)) or 0


def _check_group(session: Session, name: str) -> None:
    # A name with `#{...}` in it is known only when the run has its arguments.
    if name == ALL_GROUP or "#" in name:
        return
    query = select(AgentsGroup.id).where(AgentsGroup.name == name, AgentsGroup.deleted.is_(None))
    found = session.scalars(query.limit(2)).all()
    if len(found) > 1:
        raise StageError(_AMBIGUOUS)
    if not found:
        raise StageError(f"Cannot find {name} agents group")


def _group(session: Session, run: Run, name: str) -> AgentsGroup | None:
    project_id = run.stage.branch.project_id
    named = select(AgentsGroup).where(AgentsGroup.name == name)
    # A project's own group goes before one of everybody's that has the same name.
    for query in (named.where(AgentsGroup.project_id == project_id), named):
        found = session.scalars(query.limit(2)).all()
        if len(found) > 1:
            raise StageError(_AMBIGUOUS)
        if found:
            return found[0]
    return None


def _missing_group(session: Session) -> AgentsGroup:
    # A job has to have a group; the real server keeps one of this name for jobs whose group is gone.
    group = session.scalars(select(AgentsGroup).where(AgentsGroup.name == "missing").limit(1)).first()
    if group is None:
        group = AgentsGroup(name="missing")
        session.add(group)
        session.flush()
    return group


def _tool(session: Session, name: str) -> Tool | None:
    base, _, version = name.partition("@")
    # Without a version the newest upload counts.
    query = select(Tool).where(Tool.name == base).order_by(Tool.id.desc())
    return session.scalars(query.where(Tool.version == version) if version else query).first()


def system_of(session: Session, name: str, executor: str) -> System:
    """Return the system record of that name and executor, and make it when there is none."""
    query = select(System).where(System.name == name, System.executor == executor)
    system = session.scalars(query).one_or_none()
    if system is None:
        system = System(name=name, executor=executor)
        session.add(system)
        session.flush()
    return system
