"""What people call agents: by the inventory's host names, where an inventory is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from kraken_fleet.model.agent import Agent
from kraken_fleet.model.fleet import DesiredAgent


class HostNames:
    """The host names of an inventory, by the addresses of their agents.

    Args:
        hosts: the inventory's agents by address.
    """

    def __init__(self, hosts: Mapping[str, DesiredAgent] | None = None) -> None:
        self._hosts = hosts or {}

    @property
    def hosts(self) -> frozenset[str]:
        """The inventory's host names."""
        return frozenset(desired.host for desired in self._hosts.values())

    def of(self, agent: Agent) -> Collection[str]:
        """Return what the inventory calls an agent: its host, and the host with the instance when it has several."""
        desired = self._hosts.get(agent.address)
        return {desired.host, desired.label} if desired else ()

    def name(self, agent: Agent) -> str:
        """Return what an agent is called beside its address; empty when it has no other name."""
        desired = self._hosts.get(agent.address)
        if desired:
            return desired.label
        return agent.name if agent.name != agent.address else ""

    def label(self, agent: Agent) -> str:
        """Return how an agent is called in a sentence."""
        name = self.name(agent)
        return f"{name} ({agent.address})" if name and name != agent.address else agent.address

    def named(self, agent: Agent) -> Agent:
        """Return an agent that is told of by its label."""
        return dataclasses.replace(agent, name=self.label(agent))

    def host(self, agent: Agent) -> str | None:
        """Return what the inventory calls an agent."""
        desired = self._hosts.get(agent.address)
        return desired.label if desired else None

    def has(self, agent: Agent) -> bool:
        """Say whether the agent is of the inventory."""
        return agent.address in self._hosts
