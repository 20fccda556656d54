"""Jobs that wait for an agents group which has nobody to do them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kraken_fleet.model import Agent, AgentsGroup, DesiredFleet, Job, ObservedFleet
from kraken_fleet.plan.actions import Action, Authorize, DeleteAgent, Disable, Enable, SetGroups, Unauthorize
from kraken_fleet.plan.finding import Finding


def stranded(waiting: Iterable[Job], agents: Iterable[Agent], groups: Iterable[AgentsGroup]) -> tuple[Job, ...]:
    """Return the jobs whose agents group has no agent that is authorized and enabled.

    A group that has none when a run starts is another matter: the server ends the run's jobs for it at once.

    Args:
        waiting: jobs without an agent.
        agents: of the server; those that are not authorized do not count.
        groups: of the server; Kraken makes agents for the jobs of those that have a deployment.
    """
    served = {group.name for group in groups if group.by_kraken}
    served |= {ref.name for agent in agents if agent.authorized and agent.enabled for ref in agent.groups}
    return tuple(job for job in waiting if job.agents_group_name not in served)


def jobs_without_agents(desired: DesiredFleet, observed: ObservedFleet, actions: Sequence[Action]) -> Iterator[Finding]:
    """Return one finding for each group that jobs wait for in vain; of a slice only for the slice's own groups.

    Args:
        actions: of the plan, which may bring a group its agent.
    """
    left = stranded(observed.waiting_jobs, observed.agents, observed.groups)
    counts = Counter(job.agents_group_name for job in left if job.agents_group_name)
    coming = _served_afterwards(observed.agents, actions) if counts else set()
    for group, count in sorted(counts.items()):
        if desired.complete or group in desired.groups:
            jobs = "1 job waits" if count == 1 else f"{count} jobs wait"
            message = f"{jobs} for the agents group {group}, which has no agent that may take jobs"
            yield Finding("jobs_without_agents", group, message, _remedy(group, observed.agents, coming))
    if not observed.all_jobs_seen:
        message = "not all of the server's branches could be looked at for jobs that wait"
        hint = "See `kraken-fleet jobs waiting --stranded`"
        yield Finding("jobs_not_all_seen", "jobs", message, hint, "info")


def _remedy(group: str, agents: Iterable[Agent], coming: set[str]) -> str:
    if group in coming:
        return "Apply this plan: it brings the group an agent"
    disabled = sum(agent.authorized and group in agent.group_names for agent in agents)
    if disabled:
        whom = "its agent" if disabled == 1 else f"one of its {disabled} agents"
        return f"Enable {whom} again, put another host into the group, or cancel the jobs"
    return "Put a host of the inventory into the group, or cancel the jobs"


def _served_afterwards(agents: Iterable[Agent], actions: Iterable[Action]) -> set[str]:
    """Return the names of groups that have an agent to do jobs once the plan is applied."""
    todo: dict[int, list[Action]] = defaultdict(list)
    for action in actions:
        todo[getattr(action, "agent_id", 0)].append(action)
    return {name for agent in agents for name in _serves(agent, todo.get(agent.id, []))}


def _serves(agent: Agent, actions: Iterable[Action]) -> set[str]:
    authorized, enabled, groups = agent.authorized, agent.enabled, set(agent.group_names)
    for action in actions:
        match action:
            case Authorize():
                authorized = True
                enabled = action.enable if action.on_trial else enabled
                groups.update(action.groups)
            case SetGroups():
                groups = (groups - set(action.removed)) | set(action.added)
            case Enable() | Disable():
                enabled = isinstance(action, Enable)
            case Unauthorize() | DeleteAgent():
                authorized = False
            case _:
                pass
    return groups if authorized and enabled else set()
