"""Runs, jobs, steps, log lines and systems. The numbers are Kraken's own (kraken/server/consts.py, 1.7.36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class RunState(IntEnum):
    IN_PROGRESS = 1
    COMPLETED = 2
    PROCESSED = 3
    MANUAL = 4
    REPLAY = 5
    CREATING = 6


class JobState(IntEnum):
    PREQUEUED = 1
    QUEUED = 2
    ASSIGNED = 3
    EXECUTING_FINISHED = 4
    COMPLETED = 5


class StepStatus(IntEnum):
    NOT_STARTED = 0
    IN_PROGRESS = 1
    DONE = 2
    ERROR = 3
    SKIPPED = 4


@dataclass(frozen=True, slots=True)
class Step:
    index: int
    tool: str
    name: str
    status: StepStatus | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job. `completion_status` 0 means that all went well; None means that it is not over."""

    id: int
    name: str
    state: int
    run_id: int | None = None
    agent_id: int | None = None
    agent_name: str | None = None
    agents_group_name: str | None = None
    system: str = ""
    executor: str = ""
    completion_status: int | None = None
    notes: str | None = None
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    completed: datetime | None = None
    duration: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def over(self) -> bool:
        return self.state == JobState.COMPLETED

    @property
    def succeeded(self) -> bool:
        return self.over and self.completion_status == 0


@dataclass(frozen=True, slots=True)
class Run:
    id: int
    stage_id: int
    flow_id: int
    state: int
    stage_name: str = ""
    note: str | None = None
    jobs_waiting: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    time: datetime | None
    message: str
    level: str = "info"
    step: int | None = None
    agent: str | None = None
    service: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """What a job asks its host to be: a name that the server knows.

    Args:
        executor: which provides it: `local`, `docker` or `lxd`.
    """

    id: int
    name: str
    executor: str
