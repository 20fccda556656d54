"""An agent claims an address of a trusted network, and connects from another: which trust policy lets it in?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kraken_fleet.api import decode
from kraken_fleet.model import Agent, DesiredFleet, HostInfo, ObservedFleet, TrustRule
from kraken_fleet.plan import Authorize, CidrTrust, PlanPolicy, RulesTrust, TrustPolicy, make_plan

NETWORK = "10.1.0.0/16"
BY_ADDRESS = TrustRule(frozenset({"build"}), (NETWORK,))
BY_SYSTEM = TrustRule(frozenset({"build"}), (NETWORK,), systems=("debian-*",))
BY_EXECUTOR = TrustRule(frozenset({"build"}), (NETWORK,), executors=frozenset({"docker"}))
POLICIES = [
    CidrTrust((NETWORK,), frozenset({"build"})),
    RulesTrust((BY_ADDRESS,)),
    RulesTrust((BY_SYSTEM,)),
    RulesTrust((BY_EXECUTOR,)),
    RulesTrust((BY_SYSTEM, BY_ADDRESS)),
]
SAYS_ALL = HostInfo(system="debian-12", extra={"docker": "28.1"})


def let_in(policy: TrustPolicy, agent: Agent) -> bool:
    plan = make_plan(
        DesiredFleet(), ObservedFleet((agent,)), PlanPolicy(trust=(policy,)), now=datetime(2026, 11, 28, tzinfo=UTC)
    )
    return bool(plan.of(Authorize))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("peer", ["::1", "10.2.0.1", "192.0.2.1", "nonsense", "-oProxyCommand=x", None])
@pytest.mark.parametrize("info", [None, SAYS_ALL])
def test_a_claim_from_elsewhere_lets_nobody_in(policy: TrustPolicy, peer: str | None, info: HostInfo | None) -> None:
    agent = Agent(1, "a", "10.1.2.3", peer, host_info=info)
    assert not let_in(policy, agent)
    decision = policy.judge(agent, None)
    assert not decision.admitted
    assert "claims 10.1.2.3" in decision.reason


@pytest.mark.parametrize("policy", POLICIES)
def test_a_claim_from_its_own_network_is_heard(policy: TrustPolicy) -> None:
    assert let_in(policy, Agent(1, "a", "10.1.2.3", "10.1.2.3", host_info=SAYS_ALL))


@pytest.mark.parametrize("policy", POLICIES)
def test_ipv4_that_a_server_for_both_families_sees_is_ipv4(policy: TrustPolicy) -> None:
    row = {"id": 1, "name": "a", "address": "10.1.2.3", "ip_address": "::ffff:10.1.2.3"}
    assert let_in(policy, decode.agent({**row, "host_info": {"system": "debian-12", "docker": "28.1"}}))


def test_an_agent_behind_nat_needs_the_nat_in_its_rule() -> None:
    behind = Agent(1, "a", "10.1.2.3", "203.0.113.1")
    assert not let_in(RulesTrust((BY_ADDRESS,)), behind)
    assert let_in(RulesTrust((TrustRule(frozenset({"build"}), (NETWORK, "203.0.113.1/32")),)), behind)
