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
    """

    proofs: list[tuple[DesiredAgent, Agent, GroupProof]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def hosts(self) -> set[str]:
        """The hosts of whose agents something is known."""
        return {wanted.host for wanted, _agent, _proof in self.proofs}

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
) -> HostProofs:
    """Run a job on the agents that choose() names.

    Args:
        fleet: see choose; so are `changed` and `each`.
        changed: hosts that have changed.
        owner: see verify_agents; so is `timeout`.
        each: prove all of them.
        alone: of agents that are out of service for it. They are to come back, proven or not, so an error is kept.
        timeout: in seconds.

    Raises:
        FleetError: as verify_agents, save with `alone`.
    """
    choice = choose(fleet, client.agents(), changed, each=each, alone=alone)
    found = HostProofs(
        failures=dict.fromkeys(choice.unknown, _UNKNOWN), left_out=dict(choice.left_out), groups=choice.groups
    )
    wanted = {agent.id: one for one, agent in choice.chosen}
    agents = [agent for _wanted, agent in choice.chosen]
    try:
        for agent, proof in verify_agents(client, agents, owner, alone=alone, timeout=timeout, clock=clock):
            found.add(wanted[agent.id], agent, proof)
    except FleetError as error:
        if not alone:
            raise
        found.trouble = str(error)
    return found
