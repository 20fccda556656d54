"""The database's tables. Times are seconds since 1970; states and statuses are Kraken's numbers (model/job.py)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from kraken_fleet.server.clock import now

# Raised whenever a table changes; database.py says which older databases are brought up to it.
SCHEMA_VERSION = 3


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012 SQLAlchemy's own declaration style


class Record:
    """What almost every row has."""

    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[float] = mapped_column(default=now)
    deleted: Mapped[float | None]


class User(Record, Base):
    __tablename__ = "users"
    name: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    superadmin: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)


class LoginSession(Record, Base):
    """A log-in. Only the token's hash is kept."""

    __tablename__ = "sessions"
    token_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    user: Mapped[User] = relationship()


class Setting(Base):
    """`automatic`: nobody has set it, so it follows the addresses that the server is bound to."""

    __tablename__ = "settings"
    group: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    value: Mapped[str] = mapped_column(default="")
    automatic: Mapped[bool] = mapped_column(default=False)


class System(Base):
    __tablename__ = "systems"
    __table_args__ = (UniqueConstraint("name", "executor"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    executor: Mapped[str]


class Tool(Base):
    __tablename__ = "tools"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str] = mapped_column(default="1")
    location: Mapped[str] = mapped_column(default="")
    entry: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Project(Record, Base):
    __tablename__ = "projects"
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    webhooks: Mapped[dict[str, Any]] = mapped_column(default=dict)
    branches: Mapped[list[Branch]] = relationship(back_populates="project", order_by="Branch.name")
    secrets: Mapped[list[Secret]] = relationship(back_populates="project", order_by="Secret.name")


class OfProject(Record):
    """What a project's own rows have."""

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]


class Secret(OfProject, Base):
    """`kind` is `simple` (data: secret) or `ssh-key` (data: username, key)."""

    __tablename__ = "secrets"
    project: Mapped[Project] = relationship(back_populates="secrets")
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]


class Branch(OfProject, Base):
    __tablename__ = "branches"
    project: Mapped[Project] = relationship(back_populates="branches")
    branch_name: Mapped[str]
    env_vars: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    stages: Mapped[list[Stage]] = relationship(back_populates="branch", order_by="Stage.name")
    sequences: Mapped[list[Sequence]] = relationship()


class Sequence(Base):
    """A counter of flows (stage_id None) or of a stage's runs: `shared`, `ci` or `dev`."""

    __tablename__ = "sequences"
    id: Mapped[int] = mapped_column(primary_key=True)
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"))
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stages.id"))
    kind: Mapped[str]
    value: Mapped[int] = mapped_column(default=0)


class Stage(Record, Base):
    __tablename__ = "stages"
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"))
    branch: Mapped[Branch] = relationship(back_populates="stages")
    name: Mapped[str]
    description: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    schema_code: Mapped[str]
    schema: Mapped[dict[str, Any]]


class Flow(Record, Base):
    """`trigger` is what a webhook said: the agent checks its commit out."""

    __tablename__ = "flows"
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"), index=True)
    branch: Mapped[Branch] = relationship()
    kind: Mapped[int] = mapped_column(default=0)
    state: Mapped[int] = mapped_column(default=1)
    finished: Mapped[float | None]
    branch_name: Mapped[str]
    label: Mapped[str | None]
    args: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seq: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    trigger: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    runs: Mapped[list[Run]] = relationship(back_populates="flow", order_by="Run.id")


class Run(Record, Base):
    __tablename__ = "runs"
    flow_id: Mapped[int] = mapped_column(ForeignKey("flows.id"), index=True)
    flow: Mapped[Flow] = relationship(back_populates="runs")
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"), index=True)
    stage: Mapped[Stage] = relationship()
    state: Mapped[int] = mapped_column(index=True)
    started: Mapped[float | None]
    finished: Mapped[float | None]
    processed_at: Mapped[float | None]
    label: Mapped[str | None]
    note: Mapped[str | None]
    reason: Mapped[str] = mapped_column(default="manual")
    args: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seq: Mapped[dict[str, Any]] = mapped_column(default=dict)
    jobs: Mapped[list[Job]] = relationship(back_populates="run", order_by="Job.id")


class AgentsGroup(Record, Base):
    """Names are not unique: the real server lets them be taken twice, see the API facts on renaming and deleting."""

    __tablename__ = "agents_groups"
    name: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    project: Mapped[Project | None] = relationship()
    deployment: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Assignment(Base):
    """An agent's place in a group; agents list their groups in the order of these ids."""

    __tablename__ = "assignments"
    __table_args__ = (UniqueConstraint("agent_id", "group_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id"))
    group_id: Mapped[int] = mapped_column(ForeignKey("agents_groups.id"), index=True)
    group: Mapped[AgentsGroup] = relationship(lazy="joined")


class Agent(Record, Base):
    """`job_id` is the job it holds now; it leaves a cancelled job only with its next message."""

    __tablename__ = "agents"
    name: Mapped[str]
    address: Mapped[str] = mapped_column(unique=True)
    ip_address: Mapped[str | None]
    state: Mapped[int] = mapped_column(default=0)
    authorized: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    comment: Mapped[str | None]
    status_line: Mapped[str | None]
    last_seen: Mapped[float | None]
    last_assigned: Mapped[float] = mapped_column(default=0.0)
    host_info: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", use_alter=True))
    job: Mapped[Job | None] = relationship(foreign_keys=[job_id], post_update=True)
    assignments: Mapped[list[Assignment]] = relationship(order_by="Assignment.id", cascade="all, delete-orphan")


class Job(Record, Base):
    """`agent_id` is the agent that has or had it; None while it waits."""

    __tablename__ = "jobs"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    run: Mapped[Run] = relationship(back_populates="jobs")
    name: Mapped[str]
    state: Mapped[int] = mapped_column(index=True)
    completion_status: Mapped[int | None]
    assigned: Mapped[float | None]
    started: Mapped[float | None]
    finished: Mapped[float | None]
    completed: Mapped[float | None]
    timeout: Mapped[int]
    covered: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[str | None]
    system_id: Mapped[int] = mapped_column(ForeignKey("systems.id"))
    system: Mapped[System] = relationship()
    group_id: Mapped[int] = mapped_column(ForeignKey("agents_groups.id"))
    group: Mapped[AgentsGroup] = relationship()
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents.id"), index=True)
    agent: Mapped[Agent | None] = relationship(foreign_keys=[agent_id])
    steps: Mapped[list[Step]] = relationship(back_populates="job", order_by="Step.index")


class Step(Base):
    """`raw` is what the stage says, `fields` with `#{...}` filled in, `masked` the same without secrets."""

    __tablename__ = "steps"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    job: Mapped[Job] = relationship(back_populates="steps")
    index: Mapped[int]
    tool_id: Mapped[int] = mapped_column(ForeignKey("tools.id"))
    tool: Mapped[Tool] = relationship(lazy="joined")
    status: Mapped[int | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    raw: Mapped[dict[str, Any]]
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)
    masked: Mapped[dict[str, Any]] = mapped_column(default=dict)


class TestResult(Base):
    """One test of a job: dispatched first, its result later. `result` 0 is "not run", 1 "passed"."""

    __tablename__ = "test_results"
    __test__ = False  # pytest would take it for a test
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    tool: Mapped[str]
    name: Mapped[str]
    result: Mapped[int] = mapped_column(default=0)
    cmd_line: Mapped[str | None]
    values: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class Delivery(Base):
    """A webhook that was taken, by its id and by its content, so that it is not taken again."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class LogSize(Base):
    """How many bytes of log are kept for a job; job 0 has what belongs to no job."""

    __tablename__ = "log_sizes"
    job: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(default=0)


class LogLine(Base):
    """One line of the log sink. `seq` orders the lines of one record."""

    __tablename__ = "log_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[float] = mapped_column(index=True)
    seq: Mapped[int] = mapped_column(default=0)
    message: Mapped[str]
    service: Mapped[str] = mapped_column(default="unknown")
    host: Mapped[str] = mapped_column(default="")
    path: Mapped[str] = mapped_column(default="")
    lineno: Mapped[int] = mapped_column(default=0)
    level: Mapped[str] = mapped_column(default="INFO")
    branch: Mapped[int] = mapped_column(default=0)
    flow_kind: Mapped[int] = mapped_column(default=0)
    flow: Mapped[int] = mapped_column(default=0)
    run: Mapped[int] = mapped_column(default=0)
    job: Mapped[int] = mapped_column(default=0)
    tool: Mapped[str] = mapped_column(default="")
    step: Mapped[int] = mapped_column(default=-1)
    agent: Mapped[int] = mapped_column(default=0)
    __table_args__ = (Index("ix_log_lines_job", "job", "time", "seq"),)
