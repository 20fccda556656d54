"""The trust policies that an inventory asks for with kraken_registration_trust, for commands that see all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, DesiredTrust
from kraken_fleet.plan.policy import PlanPolicy
from kraken_fleet.plan.trust import AttestedTrust, CidrTrust, Decision, InventoryTrust, RulesTrust, TrustPolicy


def with_trust_of(policy: PlanPolicy, desired: DesiredFleet) -> PlanPolicy:
    """Return a policy with the trust policies of an inventory, unless it has some of its own.

    Raises:
        PlanError: a network of the inventory cannot be read.
    """
    if policy.trust is not None:
        return policy
    return dataclasses.replace(policy, trust=trust_of(desired))


def trust_of(desired: DesiredFleet) -> tuple[TrustPolicy, ...]:
    """Return the policies that the hosts of an inventory ask for, each for the agents of its own hosts.

    What `cidr` and `rules` say of networks holds for agents that the inventory does not have, too. With `attested` only
    a deploy authorizes an agent, since it alone knows the secret on the host.

    Raises:
        PlanError: a network cannot be read.
    """
    asked: dict[str, dict[DesiredTrust, None]] = {}
    for agent in desired.agents:
        asked.setdefault(agent.trust.policy, {})[agent.trust] = None
    policies = {name: _policy(name, wanted) for name, wanted in asked.items()}
    if len(policies) < 2:
        return tuple(policies.values()) or (InventoryTrust(),)
    return tuple(
        ExceptTrust(policy, {agent.address: _asks_for(agent) for agent in desired.agents if agent.trust.policy != name})
        for name, policy in policies.items()
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ExceptTrust:
    """A policy for all agents but some.

    Args:
        policy: the policy.
        addresses: of these agents, each with the reason why the policy does not authorize it.
    """

    policy: TrustPolicy
    addresses: Mapping[str, str] = dataclasses.field(hash=False)

    @property
    def name(self) -> str:
        return self.policy.name

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        if reason := self.addresses.get(agent.address):
            return Decision(admitted=False, policy=self.name, reason=reason)
        return self.policy.decide(agent, desired)

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        return self.policy.judge(agent, desired)

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        return self.policy.doubt(agent, desired)


def _policy(name: str, wanted: Iterable[DesiredTrust]) -> TrustPolicy:
    match name:
        case "attested":
            return AttestedTrust({}, hashed=True)
        case "cidr":
            return CidrTrust(tuple(dict.fromkeys(network for one in wanted for network in one.networks)))
        case "rules":
            return RulesTrust(tuple(dict.fromkeys(rule for one in wanted for rule in one.rules)))
        case _:
            return InventoryTrust()


def _asks_for(agent: DesiredAgent) -> str:
    return f"{agent.label} asks for the policy {agent.trust.policy}"
