"""What is read of a server for its metrics and for messages about it: a bounded number of requests, however many agents
and jobs there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError
from kraken_fleet.model import Agent, AgentsGroup, DesiredFleet, HostNames, Job, JobState, is_own_group
from kraken_fleet.plan import Plan, PlanPolicy, make_plan, stranded
from kraken_fleet.reconcile.memories import Memories
from kraken_fleet.reconcile.observe import observe, with_waiting_jobs
from kraken_fleet.reconcile.parallel import answers

# Runs of which running jobs are asked for. Of the jobs of more runs the group is not known.
_RUNS = 100
_DOES_NOT_TELL = (NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError)


@dataclass(frozen=True, slots=True)
class Reading:
    """A server at one moment.

    Args:
        now: by the server's clock.
        agents: all that are not deleted.
        groups: the agents groups, without those that kraken-fleet makes for itself.
        waiting: jobs that no agent has taken.
        stranded: those of them that nobody can take.
        running: jobs that agents run, as far as their runs were asked for.
        complete: whether all branches and runs were looked at for jobs.
        names: what the inventory calls the agents.
        plan: against the inventory; None when none is known.
    """

    now: datetime
    agents: tuple[Agent, ...]
    groups: tuple[AgentsGroup, ...] = ()
    waiting: tuple[Job, ...] = ()
    stranded: tuple[Job, ...] = ()
    running: tuple[Job, ...] = ()
    complete: bool = True
    names: HostNames = field(default_factory=HostNames)
    plan: Plan | None = None


def read_server(
    client: KrakenClient,
    desired: DesiredFleet | None = None,
    policy: PlanPolicy | None = None,
    *,
    memories: Memories | None = None,
) -> Reading:
    """Read a server.

    Args:
        desired: the inventory's fleet, to compare with.
        policy: what a plan may do.
        memories: of what earlier commands have seen.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    compare, memories = desired is not None, memories or Memories()
    names = desired.groups if desired else frozenset[str]()
    seen = observe(client, deleted_groups=compare, names=names, memory=memories.groups, peers=memories.peers)
    observed, now = with_waiting_jobs(client, seen), client.server_time()
    running, all_asked = _running(client, seen.agents)
    if desired:
        policy = memories.policy(policy or PlanPolicy(), desired)
    return Reading(
        now=now,
        agents=seen.agents,
        groups=tuple(group for group in seen.groups if not is_own_group(group.name)),
        waiting=observed.waiting_jobs,
        stranded=stranded(observed.waiting_jobs, seen.agents, seen.groups),
        running=running,
        complete=observed.all_jobs_seen and all_asked,
        names=HostNames(desired.by_address() if desired else None),
        plan=make_plan(desired, observed, policy, now=now, server=client.url) if desired else None,
    )


def _running(client: KrakenClient, agents: Iterable[Agent]) -> tuple[tuple[Job, ...], bool]:
    """Return the jobs that agents run, with their groups, which agents do not list; and whether these are all."""
    busy = {agent.job.id: agent.job.run_id for agent in agents if agent.authorized and agent.job}
    runs = sorted({run for run in busy.values() if run is not None}, reverse=True)
    found = {job.id: job for jobs in answers(client.run_jobs, runs[:_RUNS], _DOES_NOT_TELL) for job in jobs}
    jobs = (found.get(number) or Job(number, "", JobState.ASSIGNED) for number in sorted(busy))
    return tuple(jobs), busy.keys() <= found.keys()
