"""Jobs that wait for an agent. The server has no list of them, so they are gathered from what is not finished."""

from __future__ import annotations

from dataclasses import dataclass

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError
from kraken_fleet.model import Job, JobState
from kraken_fleet.plan import stranded
from kraken_fleet.reconcile.parallel import answers

_WAITING = (JobState.PREQUEUED, JobState.QUEUED)
# What the server says of a branch or a run that was deleted since it was listed.
_DELETED = (RequestRejectedError,)


@dataclass(frozen=True, slots=True)
class WaitingJobs:
    """Jobs without an agent, the oldest first.

    Args:
        complete: whether every branch was looked at.
    """

    jobs: tuple[Job, ...]
    complete: bool = True


def waiting_jobs(client: KrakenClient) -> tuple[Job, ...]:
    """Return every job without an agent, of each branch's unfinished flows.

    A job's `notes` say why it was not placed.
    """
    return find_waiting_jobs(client).jobs


def find_waiting_jobs(client: KrakenClient, max_calls: int | None = None) -> WaitingJobs:
    """Return the same within a number of requests, none of which is about agents.

    One request for the projects, one for each branch and kind of flow, one for each run that has waiting jobs; several
    at a time.

    Args:
        max_calls: how many at most; the newest branches and runs come first.
    """
    branches = sorted((branch.id for project in client.projects() for branch in project.branches), reverse=True)
    looks = [(number, kind) for number in branches for kind in ("ci", "dev")]
    # A quarter of the calls is left for the runs, which the jobs themselves come from.
    seen = looks if max_calls is None else looks[: max_calls * 3 // 4]
    flows = answers(lambda look: client.flows(*look), seen, _DELETED)
    unfinished = {run.id for found in flows for flow in found for run in flow.runs if run.jobs_waiting}
    runs = sorted(unfinished, reverse=True)
    # One call was for the projects.
    asked = runs if max_calls is None else runs[: max_calls - 1 - len(seen)]
    found = (job for jobs in answers(client.run_jobs, asked, _DELETED) for job in jobs)
    # One that was given to an agent stays queued until the agent asks for it.
    jobs = [job for job in found if job.state in _WAITING and job.agent_id is None]
    return WaitingJobs(tuple(sorted(jobs, key=lambda job: job.id)), len(seen) == len(looks) and asked == runs)


def stranded_jobs(client: KrakenClient) -> tuple[Job, ...]:
    """Return the waiting jobs that nobody will ever take, see kraken_fleet.plan.stranded."""
    waiting = waiting_jobs(client)
    return stranded(waiting, client.agents(), client.groups()) if waiting else ()
