"""Kraken's JSON to models. Fields that nobody asked for are let through: newer servers may add some.

Each function takes decoded JSON and returns what it is named after; it raises MalformedError when a field that is
needed is missing or of another type.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kraken_fleet.api.shape import (
    MalformedError,
    as_object,
    flag,
    moment,
    nested,
    optional_text,
    optional_whole,
    text,
    whole,
)
from kraken_fleet.model import (
    METHODS,
    Agent,
    AgentsGroup,
    Branch,
    Deployment,
    Flow,
    GroupRef,
    HostInfo,
    Job,
    JobRef,
    LogLine,
    Project,
    Run,
    RunState,
    Stage,
    Step,
    StepStatus,
    System,
    User,
    ip_of,
)

# Runs come with the name of their state, jobs with its number (kraken/server/consts.py, RUN_STATES_NAME, 1.7.36).
_RUN_STATES = {state.name.lower().replace("_", "-"): state for state in RunState}
# A newer server may have more statuses: one that is not known here becomes None, and the job can still be read.
_STEP_STATUSES = frozenset(StepStatus)


def token(data: object) -> str:
    """Return the token in the answer to signing in."""
    value = text(as_object(data), "token")
    if not value or not all("!" <= char <= "~" for char in value):
        raise MalformedError("`token` should be one word")
    return value


def version(data: object) -> str:
    return text(as_object(data), "version", required=True)


def user(data: object) -> User:
    row = as_object(data, "a user")
    return User(whole(row, "id"), text(row, "name"), flag(row, "enabled", default=True), flag(row, "superadmin"))


def settings(data: object) -> dict[str, dict[str, object]]:
    return {name: dict(as_object(values, f"settings `{name}`")) for name, values in as_object(data).items()}


def agent(data: object) -> Agent:
    row = as_object(data, "an agent")
    info, job_data = row.get("host_info"), row.get("job")
    return Agent(
        id=whole(row, "id"),
        name=text(row, "name") or text(row, "address"),
        address=text(row, "address", required=True),
        ip_address=_peer(row),
        authorized=flag(row, "authorized"),
        disabled=flag(row, "disabled"),
        state=whole(row, "state", default=0),
        groups=nested(row, "groups", _group_ref),
        host_info=HostInfo.from_json(as_object(info, "`host_info`")) if info else None,
        job=_job_ref(job_data) if job_data else None,
        created=moment(row, "created"),
        last_seen=moment(row, "last_seen"),
        deleted=moment(row, "deleted"),
        comment=optional_text(row, "comment"),
        status_line=optional_text(row, "status_line"),
        extra_attrs=MappingProxyType(dict(as_object(row.get("extra_attrs") or {}, "`extra_attrs`"))),
        user_attrs=MappingProxyType(dict(as_object(row.get("user_attrs") or {}, "`user_attrs`"))),
    )


def group(data: object) -> AgentsGroup:
    row = as_object(data, "an agents group")
    return AgentsGroup(
        id=whole(row, "id"),
        name=text(row, "name"),
        project_id=optional_whole(row, "project_id"),
        project_name=optional_text(row, "project_name"),
        agents_count=whole(row, "agents_count", default=0),
        created=moment(row, "created"),
        deleted=moment(row, "deleted"),
        deployment=_deployment(row.get("deployment")),
    )


def deployment_as_sent(data: object) -> Mapping[str, object]:
    """Return the whole deployment of an agents group, with what is not known here; empty when there is none."""
    found = as_object(data, "an agents group").get("deployment")
    return found if isinstance(found, Mapping) else {}


def _deployment(data: object) -> Deployment | None:
    """Read a deployment. The server keeps whatever it is sent; what nobody can read there is None, and no fault."""
    found = data if isinstance(data, Mapping) else {}
    method = next((name for name, number in METHODS.items() if number == found.get("method")), None)
    if method is None:
        return None
    settings = found.get(method)
    return Deployment.of(method, settings if isinstance(settings, Mapping) else {})


def system(data: object) -> System:
    row = as_object(data, "a system")
    return System(whole(row, "id"), text(row, "name"), text(row, "executor"))


def project(data: object) -> Project:
    row = as_object(data, "a project")
    return Project(whole(row, "id"), text(row, "name"), nested(row, "branches", branch))


def branch(data: object) -> Branch:
    row = as_object(data, "a branch")
    stages = nested(row, "stages", stage)
    return Branch(whole(row, "id"), text(row, "name"), optional_whole(row, "project_id"), stages)


def stage(data: object) -> Stage:
    row = as_object(data, "a stage")
    enabled = flag(row, "enabled", default=True)
    return Stage(whole(row, "id"), text(row, "name"), text(row, "schema_code"), enabled)


def flow(data: object) -> Flow:
    row = as_object(data, "a flow")
    return Flow(
        id=whole(row, "id"),
        label=text(row, "label"),
        state=text(row, "state"),
        kind=text(row, "kind") or "ci",
        branch_id=optional_whole(row, "branch_id"),
        runs=nested(row, "runs", run),
    )


def run(data: object) -> Run:
    row = as_object(data, "a run")
    return Run(
        id=whole(row, "id"),
        stage_id=whole(row, "stage_id"),
        flow_id=whole(row, "flow_id"),
        state=_run_state(row.get("state")),
        stage_name=text(row, "stage_name"),
        note=optional_text(row, "note"),
        jobs_waiting=whole(row, "jobs_waiting", 0),
    )


def job(data: object) -> Job:
    row = as_object(data, "a job")
    return Job(
        id=whole(row, "id"),
        name=text(row, "name"),
        state=whole(row, "state"),
        run_id=optional_whole(row, "run_id"),
        agent_id=optional_whole(row, "agent_id") or None,  # Kraken writes 0 for none
        agent_name=optional_text(row, "agent_name") or None,
        agents_group_name=optional_text(row, "agents_group_name"),
        system=text(row, "system"),
        executor=text(row, "executor"),
        completion_status=optional_whole(row, "completion_status"),
        notes=optional_text(row, "notes"),
        created=moment(row, "created"),
        started=moment(row, "started"),
        finished=moment(row, "finished"),
        completed=moment(row, "completed"),
        duration=text(row, "duration"),
        steps=nested(row, "steps", _step),
    )


def log_line(data: object) -> LogLine:
    row = as_object(data, "a log line")
    return LogLine(
        time=moment(row, "time"),
        message=text(row, "message"),
        level=text(row, "level") or "info",
        step=optional_whole(row, "step"),
        agent=optional_text(row, "host"),
        service=text(row, "service"),
    )


def _peer(row: Mapping[str, object]) -> str | None:
    """Return the address that an agent sends from.

    A server that listens for both families says IPv4 in the form of IPv6.
    """
    said = optional_text(row, "ip_address")
    return ip_of(said) or said


def _step(data: object) -> Step:
    row = as_object(data, "a step")
    status = optional_whole(row, "status")
    return Step(
        index=whole(row, "index"),
        tool=text(row, "tool"),
        name=text(row, "name") or text(row, "tool"),
        status=StepStatus(status) if status in _STEP_STATUSES else None,
    )


def _group_ref(data: object) -> GroupRef:
    row = as_object(data, "a group of an agent")
    return GroupRef(whole(row, "id"), text(row, "name"))


def _job_ref(data: object) -> JobRef:
    row = as_object(data, "the job of an agent")
    return JobRef(whole(row, "id"), text(row, "name"), optional_whole(row, "run_id"))


def _run_state(value: object) -> int:
    if isinstance(value, str) and value in _RUN_STATES:
        return _RUN_STATES[value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise MalformedError(f"`state` of a run should be one of {', '.join(_RUN_STATES)}")
