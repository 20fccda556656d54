"""What happens to one job: finished, cancelled, queued again. What that means for its run is in runs.py."""

from __future__ import annotations

import logging

from kraken_fleet.model import JobState, StepStatus
from kraken_fleet.server.clock import now
from kraken_fleet.server.store.tables import Agent, Job

log = logging.getLogger(__name__)

# Completion statuses (kraken/server/consts.py, JOB_CMPLT_*).
ALL_OK, JOB_TIMEOUT, AGENT_ERROR, AGENT_EXCEPTION, MISSING_TOOL = 0, 1, 2, 3, 4
STEP_TIMEOUT, SERVER_TIMEOUT, USER_CANCEL, MISSING_GROUP, NO_AGENTS = 6, 7, 8, 9, 10
_BY_REASON = {"job-timeout": JOB_TIMEOUT, "step-timeout": STEP_TIMEOUT, "exception": AGENT_EXCEPTION}


def left_time(job: Job) -> int:
    """Return the seconds that the agent is told it has: nine tenths of what the server itself will wait."""
    # So that the agent ends the job and reports it before the server gives it up.
    return int((job.timeout - (now() - (job.assigned or now()))) * 0.9)


def finish(job: Job) -> None:
    """End a job whose agent has nothing left to do; its result is that of its steps."""
    job.finished = job.completed = now()
    job.state = JobState.COMPLETED
    job.completion_status = _outcome(job)
    log.info("job %s is over with status %s", job.id, job.completion_status)


def cancel(job: Job, note: str, status: int) -> None:
    """End a job from outside. Its agent learns that from the answer to its next message, and ends it then."""
    if job.state == JobState.COMPLETED:
        return
    job.finished = job.completed = now()
    job.state = JobState.COMPLETED
    job.completion_status = status
    job.notes = note
    for step in job.steps:
        if step.status == StepStatus.IN_PROGRESS:
            step.status = StepStatus.ERROR
        elif not step.status:
            step.status = StepStatus.SKIPPED
    log.info("job %s: %s", job.id, note)


def queue_again(agent: Agent, note: str) -> None:
    """Take an agent's job away and put it back in the queue, to be done from its first step."""
    job, agent.job = agent.job, None
    if job is None or job.state == JobState.COMPLETED:
        return
    job.state = JobState.QUEUED
    job.agent = job.assigned = job.started = None
    job.notes = note
    for step in job.steps:
        step.status = step.result = None
    log.warning("job %s: %s", job.id, note)


def _outcome(job: Job) -> int:
    for step in job.steps:
        if step.status == StepStatus.ERROR:
            return _BY_REASON.get((step.result or {}).get("reason", ""), AGENT_ERROR)
    return ALL_OK
