"""The trust policies that an inventory asks for with kraken_registration_trust, for commands that see all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kraken_fleet.model import UNREAD_TRUST, Agent, DesiredAgent, DesiredFleet, DesiredTrust
from kraken_fleet.plan.policy import PlanPolicy
from kraken_fleet.plan.trust import (
    ATTESTED,
    AttestedTrust,
    CidrTrust,
    Decision,
    InventoryTrust,
    RulesTrust,
    TrustPolicy,
)


def with_trust_of(policy: PlanPolicy, desired: DesiredFleet) -> PlanPolicy:
    """Return a policy with the trust policies of an inventory, unless it has some of its own."""
    if policy.trust is not None:
        return policy
    return dataclasses.replace(policy, trust=trust_of(desired))


def trust_of(desired: DesiredFleet) -> tuple[TrustPolicy, ...]:
    """Return the policies that the hosts of an inventory ask for, each for the agents of its own hosts.

    They authorize agents of the inventory only. With `attested` only a deploy authorizes an agent, since it alone knows
    the secret on the host.
    """
    policies = {trust: _policy(trust) for trust in dict.fromkeys(agent.trust for agent in desired.agents)}
    by_name: dict[str, dict[str, TrustPolicy]] = {}
    for agent in desired.agents:
        by_name.setdefault(agent.trust.policy, {})[agent.address] = policies[agent.trust]
    return tuple(HostsTrust(name, found) for name, found in by_name.items()) or (InventoryTrust(),)


@dataclasses.dataclass(frozen=True, slots=True)
class HostsTrust:
    """The policies of one name that hosts of an inventory ask for.

    Args:
        name: theirs.
        by_address: for the agents of these hosts; they authorize nobody else.
    """

    name: str
    by_address: Mapping[str, TrustPolicy] = dataclasses.field(hash=False)

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        if policy := self.by_address.get(agent.address):
            return policy.decide(agent, desired)
        if desired is None:
            return self._refuse(f"no host of the inventory has the address {agent.address}")
        return self._refuse(f"{desired.label} asks for the policy {desired.trust.policy}")

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        policy = self.by_address.get(agent.address)
        return policy.judge(agent, desired) if policy else self.decide(agent, desired)

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        policy = self.by_address.get(agent.address)
        return policy.doubt(agent, desired) if policy else ""

    def _refuse(self, reason: str) -> Decision:
        return Decision(admitted=False, policy=self.name, reason=reason)


@dataclasses.dataclass(frozen=True, slots=True)
class _UnreadTrust:
    """Authorizes nobody: what the hosts ask for is known in a play only."""

    name: str = UNREAD_TRUST

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        reason = "its kraken_registration_trust cannot be read here; deploy the host, or give --trust"
        return Decision(admitted=False, policy=self.name, reason=reason)

    judge = decide

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        return ""


def _policy(trust: DesiredTrust) -> TrustPolicy:
    match trust.policy:
        case "inventory":
            return InventoryTrust()
        case "cidr":
            return CidrTrust(trust.networks)
        case "rules":
            return RulesTrust(trust.rules)
        case name if name == ATTESTED:
            return AttestedTrust({}, hashed=True)
        case _:
            return _UnreadTrust()
