"""A fleet as a whole: what the inventory wants, and what the server has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kraken_fleet.model.agent import Agent
from kraken_fleet.model.deployment import DesiredGroup
from kraken_fleet.model.group import AgentsGroup
from kraken_fleet.model.job import Job
from kraken_fleet.model.trust import DesiredTrust


@dataclass(frozen=True, slots=True)
class DesiredAgent:
    """One agent that the inventory asks for.

    Args:
        host: the inventory's name of the host.
        address: the address that the agent claims.
        groups: agents groups it belongs to; never contains `all`, which the server itself looks after.
        enabled: whether it takes jobs; None leaves what the server has.
        system: the system it is expected to report, None to accept any.
        executors: executors it is expected to report; empty to accept any.
        instance: the name of this agent among several on one host; empty when the host has one.
        reasons: for each group, where it comes from ("inventory group kraken_group_gpu").
        groups_mode: `merge` leaves other groups alone, `exact` takes the agent out of them; None: as the plan's policy.
        version: of the agent, as far as the inventory names it.
        trust: by which policy it is authorized.
    """

    host: str
    address: str
    groups: frozenset[str] = frozenset()
    enabled: bool | None = None
    system: str | None = None
    executors: frozenset[str] = frozenset()
    instance: str = ""
    reasons: tuple[tuple[str, str], ...] = ()
    groups_mode: str | None = None
    version: str | None = None
    trust: DesiredTrust = field(default_factory=DesiredTrust)

    @property
    def label(self) -> str:
        """How people tell this agent from others: the host, with the instance when there are several."""
        return f"{self.host}/{self.instance}" if self.instance else self.host


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file of variables that Ansible does not read for this inventory and playbook.

    Args:
        path: where it is.
        variables: what it sets, of the variables that the roles declare.
    """

    path: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UncheckedUpdates:
    """A host whose agent follows its server's version without https and without sums of the files that it may become.

    Args:
        host: the inventory's name of the host.
        server: where its agent reaches the server.
    """

    host: str
    server: str

    @property
    def message(self) -> str:
        """Say what becomes of its updates."""
        return (
            f"kraken_agent_update is server, and {self.server} is not https: kraken-fleet's own agent takes no update "
            "from there, and Kraken's own runs whatever anybody on the way sends it"
        )

    @property
    def hint(self) -> str:
        return "Use an https address, or name the files' SHA-256 sums with kraken_agent_update_sha256"


@dataclass(frozen=True, slots=True)
class DesiredFleet:
    """All that an inventory, or the slice of it in this play, asks for.

    Args:
        complete: False when the hosts are only a slice (`--limit`): what is missing then means nothing.
        unread_files: files of variables that look as if they belonged to it and that no deploy reads.
        unchecked_updates: hosts whose agents follow the version of a server whose files nothing vouches for.
        declared_groups: agents groups that it asks for by themselves, also when no agent of it is in them.
    """

    agents: tuple[DesiredAgent, ...] = ()
    complete: bool = True
    unread_files: tuple[UnreadFile, ...] = field(default=(), compare=False)
    unchecked_updates: tuple[UncheckedUpdates, ...] = field(default=(), compare=False)
    declared_groups: tuple[DesiredGroup, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        declared = {group.name for group in self.declared_groups}
        return frozenset(declared.union(*(agent.groups for agent in self.agents)))

    def by_address(self) -> dict[str, DesiredAgent]:
        return {agent.address: agent for agent in self.agents}


@dataclass(frozen=True, slots=True)
class ObservedFleet:
    """A server at one moment: both lists of agents, and its groups.

    Args:
        agents: every agent that is not deleted, authorized or not.
        groups: the groups that are alive.
        taken: when it was read.
        deleted_groups: deleted groups that still hold their name; a living group of the same name is then unusable.
        waiting_jobs: jobs that no agent has taken yet; empty when nobody asked for them.
        all_jobs_seen: False when there may be more of those.
        upgrades_broken_off: ids of the groups in which such upgrades have left agents that they had disabled.
        earlier_peers: where authorized agents connected from when they were looked at before, by their addresses.
        clock_ahead: by how much the server's clock is ahead of the controller's.
    """

    agents: tuple[Agent, ...] = ()
    groups: tuple[AgentsGroup, ...] = ()
    taken: datetime | None = field(default=None, compare=False)
    deleted_groups: tuple[AgentsGroup, ...] = ()
    waiting_jobs: tuple[Job, ...] = ()
    all_jobs_seen: bool = True
    upgrades_broken_off: frozenset[int] = frozenset()
    earlier_peers: Mapping[str, str] = field(default_factory=dict, compare=False)
    clock_ahead: timedelta = field(default=timedelta(), compare=False)

    def by_address(self) -> dict[str, Agent]:
        return {agent.address: agent for agent in self.agents}

    def made_by_kraken(self) -> frozenset[int]:
        """Return the ids of agents that Kraken itself has made in a cloud, and deletes."""
        groups = {group.id for group in self.groups if group.by_kraken}
        return frozenset(agent.id for agent in self.agents if groups.intersection(ref.id for ref in agent.groups))

    def left_by_upgrade(self, agent: Agent) -> bool:
        """Say whether an upgrade that was broken off has left the agent disabled."""
        return agent.disabled and any(ref.id in self.upgrades_broken_off for ref in agent.groups)

    def group_ids(self) -> dict[str, int]:
        return {group.name: group.id for group in self.groups}

    def with_agents(self, agents: Iterable[Agent]) -> ObservedFleet:
        return replace(self, agents=tuple(agents))
