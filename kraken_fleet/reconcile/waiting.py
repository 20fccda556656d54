"""Jobs that wait for an agent. The server has no list of them, so they are gathered from what is not finished."""

from __future__ import annotations

from collections.abc import Iterator

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Job, JobState

_WAITING = (JobState.PREQUEUED, JobState.QUEUED)


def waiting_jobs(client: KrakenClient) -> tuple[Job, ...]:
    """Every job without an agent, of each branch's unfinished flows.

    One request for the projects, one for each branch and kind of flow, one for each run that has waiting jobs. A
    job's `notes` say why the server could not place it.
    """
    found = (job for run_id in _unfinished_runs(client) for job in client.run_jobs(run_id))
    # One that was given to an agent stays queued until the agent asks for it.
    return tuple(job for job in found if job.state in _WAITING and job.agent_id is None)


def stranded_jobs(client: KrakenClient) -> tuple[Job, ...]:
    """The waiting jobs whose agents group has no agent that is authorised and enabled: nobody will ever take them.

    A group that has none when a run starts is another matter: the server ends the run's jobs for it at once.
    """
    waiting = waiting_jobs(client)
    if not waiting:
        return ()
    served = {ref.name for agent in client.agents() if agent.enabled for ref in agent.groups}
    return tuple(job for job in waiting if job.agents_group_name not in served)


def _unfinished_runs(client: KrakenClient) -> Iterator[int]:
    for project in client.projects():
        for branch in project.branches:
            for kind in ("ci", "dev"):
                for flow in client.flows(branch.id, kind):
                    yield from (run.id for run in flow.runs if run.jobs_waiting)
