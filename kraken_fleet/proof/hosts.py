"""Proof of the hosts of a play: who is proven, what became of it, and how that reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, Owner
from kraken_fleet.proof.agents import verify_agents
from kraken_fleet.proof.choice import choose
from kraken_fleet.proof.groups import GroupProof
from kraken_fleet.reconcile.clock import Clock

_UNKNOWN = "the server has no authorized agent with its address; deploy it first"


@dataclass(slots=True)
class HostProofs:
    """What became of the jobs.

    Args:
        proofs: each with what the inventory wants of its agent, and the agent.
        failures: why hosts have failed, by host.
        left_out: why agents were not tried, or nothing is known of them, by label.
        groups: agents groups of which no agent is proven, with the reason.
        trouble: why the server let nobody else be proven; empty when it did.
        unproven: hosts with an agent of which nothing is known therefore.
    """

    proofs: list[tuple[DesiredAgent, Agent, GroupProof]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    unproven: set[str] = field(default_factory=set)

    def hosts_proven(self, fleet: DesiredFleet) -> set[str]:
        """Return the hosts of which all agents are proven.

        Args:
            fleet: the agents.
        """
        proven = {wanted.label for wanted, _agent, proof in self.proofs if proof.proven}
        return {one.host for one in fleet.agents} - {one.host for one in fleet.agents if one.label not in proven}

    def add(self, wanted: DesiredAgent, agent: Agent, proof: GroupProof) -> None:
        """Take one proof."""
        self.proofs.append((wanted, agent, proof))
        if proof.failure:
            self.failures[wanted.host] = f"agent {agent.name}: {proof.failure}. {proof.hint or ''}".strip()
        elif proof.left_out:
            self.left_out[wanted.label] = proof.left_out

    def lines(self) -> Iterator[str]:
        """Return the same for people, but for the failures."""
        for wanted, _agent, proof in sorted(self.proofs, key=lambda one: one[0].label):
            if proof.proven:
                done = f"job {proof.job_id} ran in {proof.seconds:.1f} s; line of its log: {proof.log_line}"
                yield f"{wanted.label}: proven, {done}"
        yield from (f"{label}: not proven, it {why}" for label, why in self.left_out.items())
        yield from (f"Agents group {group}: nobody is proven: {why}" for group, why in self.groups.items())


def prove_hosts(
    client: KrakenClient,
    fleet: DesiredFleet,
    changed: Collection[str],
    owner: Owner,
    *,
    each: bool = False,
    alone: bool = False,
    timeout: float = 120.0,
    clock: Clock | None = None,
    found: HostProofs | None = None,
) -> HostProofs:
    """Run a job on the agents that choose() names.

    Args:
        fleet: see choose; so are `changed` and `each`.
        changed: hosts that have changed.
        owner: see verify_agents; so is `timeout`.
        each: prove all of them.
        alone: of agents that are out of service for it. They are to come back, proven or not, so an error is kept.
        timeout: in seconds.
        found: takes what becomes known, at once, so that it is not lost with who is interrupted.

    Raises:
        FleetError: as verify_agents, save with `alone`.
    """
    found = HostProofs() if found is None else found
    tried: Collection[DesiredAgent] = fleet.agents
    try:
        choice = choose(fleet, client.agents(), changed, each=each, alone=alone)
        tried = [one for one, _agent in choice.chosen]
        found.failures |= dict.fromkeys(choice.unknown, _UNKNOWN)
        found.left_out, found.groups = dict(choice.left_out), choice.groups
        wanted = {agent.id: one for one, agent in choice.chosen}
        agents = [agent for _wanted, agent in choice.chosen]
        for agent, proof in verify_agents(client, agents, owner, alone=alone, timeout=timeout, clock=clock):
            found.add(wanted[agent.id], agent, proof)
    except FleetError as error:
        if not alone:
            raise
        known = {one.label for one, _agent, _proof in found.proofs}
        found.trouble = str(error)
        found.unproven = {one.host for one in tried if one.label not in known} - found.failures.keys()
    return found
