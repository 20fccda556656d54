"""Jobs that wait for an agent. The server has no list of them, so they are gathered from what is not finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, Job, JobState

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
    """The waiting jobs that nobody will ever take, see `stranded`."""
    waiting = waiting_jobs(client)
    return stranded(waiting, client.agents()) if waiting else ()


def stranded(waiting: Iterable[Job], agents: Iterable[Agent]) -> tuple[Job, ...]:
    """The jobs whose agents group has no agent that is authorised and enabled.

    A group that has none when a run starts is another matter: the server ends the run's jobs for it at once.

    Args:
        waiting: jobs without an agent.
        agents: the authorised agents of the server.
    """
    served = {ref.name for agent in agents if agent.enabled for ref in agent.groups}
    return tuple(job for job in waiting if job.agents_group_name not in served)


def _unfinished_runs(client: KrakenClient) -> Iterator[int]:
    for project in client.projects():
        for branch in project.branches:
            for kind in ("ci", "dev"):
                for flow in client.flows(branch.id, kind):
                    yield from (run.id for run in flow.runs if run.jobs_waiting)
