"""Which agents to authorize: only those that a policy names, and each decision says why."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from kraken_fleet.errors import PlanError
from kraken_fleet.model import Agent, DesiredAgent, TrustRule

# The policy by which secrets count.
ATTESTED = "attested"
# Under this key of its host info an agent reports the nonce that Ansible wrote on its host.
NONCE_KEY = "kraken_fleet_nonce"
# In place of a nonce's digest, for a host that has none yet because nothing is written in check mode.
PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says of an agent.

    Args:
        admitted: whether to authorize it.
        policy: the policy's name.
        reason: why, in words.
        groups: agents groups that it comes into because of this.
        on_trial: authorize it disabled, and ask `judge` once it has said more of itself.
    """

    admitted: bool
    policy: str
    reason: str
    groups: frozenset[str] = frozenset()
    on_trial: bool = False


class TrustPolicy(Protocol):
    """One way to decide. Pure: what it needs to know it was given when it was made."""

    @property
    def name(self) -> str: ...

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        """Decide about an agent that is not authorized; `desired` is what the inventory says of its address."""

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        """Decide about an agent that was authorized on trial and has now sent its host info."""

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        """Say why an agent that is authorized already has to be verified again; empty when it has not."""


class _DecidesOnce:
    """Policies that never verify an authorized agent again: an agent cannot show twice what they look at."""

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class InventoryTrust(_DecidesOnce):
    """Authorizes an agent whose address the inventory has.

    Args:
        seen_after: by host, or "" for all others, when its agent was deployed; one last seen before that is somebody
            else's, or an old one.
    """

    seen_after: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    name: str = "inventory"

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        if desired is None:
            return _refuse(self.name, f"no host of the inventory has the address {agent.address}")
        since = self.seen_after.get(desired.host, self.seen_after.get(""))
        # Anybody can claim a free address. An agent that polled only before the deploy is not the one that was just
        # started.
        if since and (agent.last_seen is None or agent.last_seen < since):
            return _refuse(self.name, f"{agent.address} was not seen since {desired.host} was deployed")
        return _admit(self.name, f"{agent.address} is {desired.label} of the inventory")

    judge = decide


@dataclass(frozen=True, slots=True)
class CidrTrust(_DecidesOnce):
    """Authorizes an agent that claims an address in one of these networks and also connects from it.

    Args:
        networks: like 10.1.0.0/16.
        groups: agents groups that they come into.

    Raises:
        PlanError: a network cannot be read.
    """

    networks: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    name: str = "cidr"

    def __post_init__(self) -> None:
        for network in self.networks:
            _network(network)

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        network = _containing(agent.address, self.networks)
        if network is None:
            return _refuse(self.name, f"{agent.address} is in none of {', '.join(self.networks) or 'no networks'}")
        if objection := _connects_from_elsewhere(agent, (network,)):
            return _refuse(self.name, objection)
        return _admit(self.name, f"{agent.address} is in {network}", self.groups)

    judge = decide


@dataclass(frozen=True, slots=True)
class RulesTrust(_DecidesOnce):
    """Authorizes an agent that satisfies a rule, and puts it into the groups of all rules that it satisfies.

    A rule about system or executors can only be checked after authorization: such an agent is authorized on trial.

    Raises:
        PlanError: a rule names no network or one that cannot be read.
    """

    rules: tuple[TrustRule, ...]
    name: str = "rules"

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not rule.networks:
                raise PlanError(
                    f"A trust rule for {', '.join(sorted(rule.groups))} names no network",
                    hint="Add the networks its agents may come from; 0.0.0.0/0 means any",
                )
            for network in rule.networks:
                _network(network)

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        possible = [rule for rule in self.rules if not _out_of_place(rule, agent)]
        if not possible:
            reasons = "; ".join(dict.fromkeys(_out_of_place(rule, agent) for rule in self.rules))
            return _refuse(self.name, f"no rule holds: {reasons or 'there is none'}")
        # The server reads host info from authorized agents only. An agent has some all the same when it was authorized
        # before.
        if agent.host_info is not None or all(rule.by_address_only for rule in possible):
            return self.judge(agent, desired)
        reason = f"a rule is about {agent.address}; its system and executors are known only after authorization"
        return _admit(self.name, reason, on_trial=True)

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        objections = {rule: _objection(rule, agent) for rule in self.rules}
        satisfied = [rule for rule, objection in objections.items() if objection is None]
        if not satisfied:
            said = "; ".join(dict.fromkeys(filter(None, objections.values())))
            return _refuse(self.name, f"no rule holds: {said}")
        groups = frozenset(name for rule in satisfied for name in rule.groups)
        return _admit(self.name, f"a rule puts it into {', '.join(sorted(groups))}", groups)


@dataclass(frozen=True, slots=True)
class AttestedTrust:
    """Authorizes an agent that reports the secret which Ansible wrote on the host that it claims to be.

    An agent's address is only a claim. The nonce went to the host over SSH, so whoever reports it is on that host. Host
    info is read by the server only after authorization; therefore always on trial.

    An authorized agent that reports another nonce than its host has, or none, is verified as well. Agents whose host's
    nonce is not known, since the host is not in this run, are left alone.

    Args:
        nonces: by address, what was written there; PENDING where a dry run would write it.
        hashed: whether they are given as their sha256 in hexadecimal, so that the secrets never leave their hosts.
    """

    nonces: Mapping[str, str] = field(repr=False, hash=False)
    hashed: bool = False
    name: str = ATTESTED

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        if desired is None:
            return _refuse(self.name, f"no host of the inventory has the address {agent.address}")
        if not self.nonces.get(agent.address):
            return _refuse(self.name, f"the secret on {desired.host} is not known here; its next deploy looks at it")
        return _admit(self.name, f"{desired.host} has to report its secret", on_trial=True)

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        expected = self.nonces.get(agent.address)
        told = str(agent.host_info.extra.get(NONCE_KEY) or "") if agent.host_info else ""
        if told and self.hashed:
            told = hashlib.sha256(told.encode()).hexdigest()
        label = desired.host if desired else agent.address
        if not expected or not told:
            return _refuse(self.name, f"the agent that claims {agent.address} reports no secret")
        # In constant time: how long a comparison takes must not tell how much of a guess is right.
        if not hmac.compare_digest(expected.encode(), told.encode()):
            return _refuse(self.name, f"the agent that claims {agent.address} is not the one on {label}")
        return _admit(self.name, f"it reported the secret of {label}")

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        if self.nonces.get(agent.address, PENDING) == PENDING:
            return ""
        decision = self.judge(agent, desired)
        return "" if decision.admitted else decision.reason


def decide(policies: Iterable[TrustPolicy], agent: Agent, desired: DesiredAgent | None) -> Decision:
    """Return the decision of the first policy that admits the agent; without one, the reasons of all."""
    refusals: list[Decision] = []
    for policy in policies:
        decision = policy.decide(agent, desired)
        if decision.admitted:
            return decision
        refusals.append(decision)
    if len(refusals) == 1:  # which policy it was says nothing then
        return _refuse("none", refusals[0].reason)
    told = "; ".join(f"{one.policy}: {one.reason}" for one in refusals)
    return _refuse("none", told or "no trust policy was given")


def _admit(policy: str, reason: str, groups: frozenset[str] = frozenset(), *, on_trial: bool = False) -> Decision:
    return Decision(admitted=True, policy=policy, reason=reason, groups=groups, on_trial=on_trial)


def _refuse(policy: str, reason: str) -> Decision:
    return Decision(admitted=False, policy=policy, reason=reason)


@lru_cache(maxsize=256)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise PlanError(f"{text!r} is not a network ({error})", hint="Write it like 10.1.0.0/16") from error


def _containing(address: str, networks: Iterable[str]) -> str | None:
    return next((network for network in networks if _inside(address, network)), None)


def _inside(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in _network(network)
    except ValueError:
        return False  # an agent may claim anything, not only an IP address


def _out_of_place(rule: TrustRule, agent: Agent) -> str:
    """Say why an agent is in none of a rule's networks, by its address and by its peer; empty when it is in one."""
    if _containing(agent.address, rule.networks) is None:
        return f"{agent.address} is in none of {', '.join(rule.networks)}"
    return _connects_from_elsewhere(agent, rule.networks)


def _objection(rule: TrustRule, agent: Agent) -> str | None:
    """Say why a rule does not hold for an agent with host info, None when it does."""
    info = agent.host_info
    if reason := _out_of_place(rule, agent):
        return reason
    if info is None:
        return None if rule.by_address_only else "it has not sent its host info"
    if rule.systems and not any(fnmatch.fnmatchcase(info.system, pattern) for pattern in rule.systems):
        return f"its system is {info.system}, not {' or '.join(rule.systems)}"
    missing = rule.executors - info.executors.keys()
    return f"it lacks the executor {', '.join(sorted(missing))}" if missing else None


def _connects_from_elsewhere(agent: Agent, networks: Iterable[str]) -> str:
    """Say why the address that an agent connects from does not support its claim; empty when it does.

    What an agent claims, anybody can claim; to connect from an address in the middle of another network is harder.
    """
    if not agent.ip_address:
        return f"it claims {agent.address} and the server does not say from where it connects"
    if _containing(agent.ip_address, networks) is None:
        return f"it claims {agent.address} but connects from {agent.ip_address}"
    return ""
