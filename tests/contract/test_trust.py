"""Who is let in, by each trust policy, and what is said of addresses that do not add up."""

from __future__ import annotations

import contextlib

import pytest

from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import DesiredAgent, DesiredFleet, TrustRule
from kraken_fleet.plan import (
    AttestedTrust,
    CidrTrust,
    Finding,
    InventoryTrust,
    Plan,
    PlanPolicy,
    RulesTrust,
    TrustPolicy,
)
from kraken_fleet.plan.trust import NONCE_KEY
from kraken_fleet.reconcile import Event, TrialFailed, TrialPassed, reconcile
from tests.contract.hand_agents import HandAgents, plan_of, polling
from tests.unique_names import unique_loopback, unique_name
from tests.waiting import eventually

SYSTEM = {"system": "debian-12"}
NONCE = "the-nonce-of-this-host"


def _policy(*trust: TrustPolicy) -> PlanPolicy:
    return PlanPolicy(trust=trust)


def _about(plan: Plan, kind: str) -> list[Finding]:
    return [finding for finding in plan.findings if finding.kind == kind]


def _found(hand_agents: HandAgents, kind: str, *agents: DesiredAgent) -> Finding:
    """The only finding of this kind that a plan of these agents has."""
    (finding,) = _about(plan_of(hand_agents.reconcile(*agents, dry_run=True)), kind)
    return finding


def _trial(
    hand_agents: HandAgents, agent_id: int, policy: PlanPolicy, *wanted: DesiredAgent, timeout: float = 30
) -> list[Event]:
    """A reconciliation whose only new agent is this one; what it told, up to its failure."""
    events: list[Event] = []
    with contextlib.suppress(PartialFailureError):
        for event in reconcile(hand_agents.client, DesiredFleet(wanted, complete=False), policy, trial_timeout=timeout):
            events.append(event)  # noqa: PERF402 - what came before a failure is kept
    assert agent_id in {getattr(action, "agent_id", None) for action in plan_of(events).actions}
    return events


def test_without_a_policy_that_names_it_nobody_is_let_in(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    hand_agents.reconcile(DesiredAgent("a", address), policy=_policy())
    hand_agents.reconcile(policy=PlanPolicy())
    assert hand_agents.record(agent_id)["authorized"] is False


def test_cidr_lets_in_who_speaks_from_the_network_and_groups_it(hand_agents: HandAgents) -> None:
    address, group = unique_loopback(), unique_name()
    agent_id = hand_agents.speak(address, address)
    policy = _policy(CidrTrust((f"{address}/32",), frozenset({group})))
    hand_agents.reconcile(policy=policy)
    assert hand_agents.record(agent_id)["authorized"] is True
    assert hand_agents.groups_of(agent_id) == {"all", group}
    again = plan_of(hand_agents.reconcile(policy=policy))
    assert not [action for action in again.actions if address in action.describe()]


def test_cidr_keeps_out_who_only_claims_an_address_of_the_network(hand_agents: HandAgents) -> None:
    claimed, source = unique_loopback(), unique_loopback()
    agent_id = hand_agents.speak(source, claimed)
    plan = plan_of(hand_agents.reconcile(DesiredAgent("a", claimed), policy=_policy(CidrTrust((f"{claimed}/32",)))))
    assert hand_agents.record(agent_id)["authorized"] is False
    (finding,) = _about(plan, "not_trusted")
    assert f"claims {claimed} but connects from {source}" in finding.message


def test_rules_group_by_what_the_agent_reports_once_it_is_let_in(hand_agents: HandAgents) -> None:
    address = unique_loopback()
    agent_id = hand_agents.speak(address, address)
    debian, docker, lxd = unique_name(), unique_name(), unique_name()
    rules = (
        TrustRule(frozenset({debian}), (f"{address}/32",), systems=("debian-*",)),
        TrustRule(frozenset({docker}), (f"{address}/32",), executors=frozenset({"docker"})),
        TrustRule(frozenset({lxd}), (f"{address}/32",), executors=frozenset({"lxd"})),
    )
    with polling(hand_agents.server, address, {**SYSTEM, "docker": "20.10.24"}, source=address):
        events = _trial(hand_agents, agent_id, _policy(RulesTrust(rules)))
    assert [event.kind for event in events if isinstance(event, TrialPassed | TrialFailed)] == ["trial_passed"]
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (True, False)
    assert hand_agents.groups_of(agent_id) == {"all", debian, docker}


def test_an_agent_that_no_rule_fits_is_put_out_again_and_gets_no_group(hand_agents: HandAgents) -> None:
    address = unique_loopback()
    agent_id = hand_agents.speak(address, address)
    rule = TrustRule(frozenset({unique_name()}), (f"{address}/32",), systems=("windows-*",))
    with polling(hand_agents.server, address, SYSTEM, source=address):
        events = _trial(hand_agents, agent_id, _policy(RulesTrust((rule,))))
    (failed,) = [event for event in events if isinstance(event, TrialFailed)]
    assert "its system is debian-12, not windows-*" in failed.reason
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (False, True)
    assert hand_agents.groups_of(agent_id) == {"all"}


def test_attested_lets_in_who_repeats_the_nonce(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    wanted = DesiredAgent("a", address, frozenset({unique_name()}))
    policy = _policy(AttestedTrust({address: NONCE}))
    with polling(hand_agents.server, address, {**SYSTEM, NONCE_KEY: NONCE}):
        events = _trial(hand_agents, agent_id, policy, wanted)
    (passed,) = [event for event in events if isinstance(event, TrialPassed)]
    assert passed.reason == "it reported the secret of a"
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (True, False)
    assert hand_agents.groups_of(agent_id) == {"all", *wanted.groups}
    assert not [
        action
        for action in plan_of(hand_agents.reconcile(wanted, policy=policy)).actions
        if address in action.describe()
    ]


@pytest.mark.parametrize(
    ("info", "timeout", "reason"),
    [
        ({**SYSTEM, NONCE_KEY: "another"}, 30, "is not the one on a"),
        (SYSTEM, 30, "reports no secret"),
        (None, 3, "it did not send its host info in time"),
    ],
)
def test_attested_puts_out_who_does_not_repeat_it(
    hand_agents: HandAgents, info: dict[str, object] | None, timeout: float, reason: str
) -> None:
    agent_id, address = hand_agents.announce()
    wanted = DesiredAgent("a", address, frozenset({unique_name()}))
    with polling(hand_agents.server, address, info):
        events = _trial(hand_agents, agent_id, _policy(AttestedTrust({address: NONCE})), wanted, timeout=timeout)
    (failed,) = [event for event in events if isinstance(event, TrialFailed)]
    assert reason in failed.reason
    assert NONCE not in str([event.to_dict() for event in events])
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (False, True)
    assert hand_agents.groups_of(agent_id) == {"all"}


def _attested(hand_agents: HandAgents) -> tuple[int, str, DesiredAgent]:
    """An agent that has proved itself: its id, its address, and what the inventory says of it."""
    agent_id, address = hand_agents.announce()
    wanted = DesiredAgent("a", address, frozenset({unique_name()}))
    with polling(hand_agents.server, address, {**SYSTEM, NONCE_KEY: NONCE}):
        _trial(hand_agents, agent_id, _policy(AttestedTrust({address: NONCE})), wanted)
    return agent_id, address, wanted


def test_an_attested_agent_whose_host_was_rebuilt_keeps_its_place_by_the_new_nonce(hand_agents: HandAgents) -> None:
    agent_id, address, wanted = _attested(hand_agents)
    before = hand_agents.record(agent_id)
    with polling(hand_agents.server, address, {**SYSTEM, NONCE_KEY: "of the new host"}):
        hand_agents.reconcile(wanted, policy=_policy(AttestedTrust({address: "of the new host"})))
    after = hand_agents.record(agent_id)
    kept = ("id", "authorized", "disabled", "groups")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_an_attested_agent_that_another_has_replaced_is_put_out(hand_agents: HandAgents) -> None:
    agent_id, address, wanted = _attested(hand_agents)
    policy = _policy(AttestedTrust({address: NONCE}))
    with polling(hand_agents.server, address, {**SYSTEM, NONCE_KEY: "a guess"}):
        eventually(lambda: hand_agents.record(agent_id)["host_info"], lambda info: info[NONCE_KEY] == "a guess")
        events = _trial(hand_agents, agent_id, policy, wanted, timeout=3)
    (failed,) = [event for event in events if isinstance(event, TrialFailed)]
    assert failed.reason == f"the agent that claims {address} is not the one on a"
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (False, True)

    with polling(hand_agents.server, address, {**SYSTEM, NONCE_KEY: NONCE}):
        _trial(hand_agents, agent_id, policy, wanted)
    record = hand_agents.record(agent_id)
    assert (record["authorized"], record["disabled"]) == (True, False)


@pytest.mark.parametrize("policy", ["inventory", "cidr", "rules"])
def test_without_attestation_a_rebuilt_host_is_the_agent_that_it_was(hand_agents: HandAgents, policy: str) -> None:
    """What docs/trust.md says: the server keeps the record, so these policies have nothing to tell the two apart by."""
    agent_id, address = hand_agents.announce(authorized=True)
    network, group = f"{address}/32", unique_name()
    trust: dict[str, TrustPolicy] = {
        "inventory": InventoryTrust(),
        "cidr": CidrTrust((network,)),
        "rules": RulesTrust((TrustRule(frozenset({group}), (network,), systems=("debian-*",)),)),
    }
    hand_agents.server.agent(address, "host-info", info=SYSTEM)
    wanted = DesiredAgent("a", address, frozenset({group}), system="debian-12")
    hand_agents.reconcile(wanted)
    before = hand_agents.record(agent_id)
    hand_agents.server.agent(address, "host-info", info={"system": "ubuntu-24.04"})  # the new machine's first words
    after = hand_agents.record(agent_id)
    changing = ("host_info", "last_seen")
    assert {name for name, value in after.items() if value != before[name]} <= set(changing)
    plan = plan_of(hand_agents.reconcile(wanted, policy=_policy(trust[policy])))
    assert not [action for action in plan.actions if address in action.describe()]
    # A declared system is all that can tell, and only when the new one differs.
    (finding,) = _about(plan, "system_mismatch")
    assert finding.message == "the inventory says debian-12, the agent reports ubuntu-24.04"


def test_an_agent_on_trial_gets_no_job_of_a_group_before_it_has_stood_it(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    wanted = DesiredAgent("a", address, frozenset({unique_name()}))
    policy = _policy(AttestedTrust({address: NONCE}))
    seen: list[tuple[bool, set[str]]] = []

    def look() -> None:
        for event in reconcile(hand_agents.client, DesiredFleet((wanted,), complete=False), policy, trial_timeout=3):
            record = hand_agents.record(agent_id)
            if event.kind == "done" and record["authorized"]:
                seen.append((record["disabled"], hand_agents.groups_of(agent_id)))

    with polling(hand_agents.server, address, None), pytest.raises(PartialFailureError, match="not as they should be"):
        look()
    assert seen
    assert all(state == (True, {"all"}) for state in seen)


def test_two_hosts_that_claim_one_address_are_named(hand_agents: HandAgents) -> None:
    a, b = unique_loopback(), unique_loopback()
    hand_agents.speak(b, a)
    plan = plan_of(hand_agents.reconcile(DesiredAgent("a", a), DesiredAgent("b", b), dry_run=True))
    (finding,) = _about(plan, "two_hosts_one_address")
    assert (finding.subject, finding.message) == ("a", f"b claims {a}, the address of a")
    (missing,) = _about(plan, "never_seen")
    assert missing.subject == "b"
    assert f"claims {a}" in missing.message


def test_one_host_with_two_addresses_is_named(hand_agents: HandAgents) -> None:
    a, old = unique_loopback(), unique_loopback()
    hand_agents.speak(a, a)
    hand_agents.speak(a, old)
    finding = _found(hand_agents, "one_host_two_addresses", DesiredAgent("a", a))
    assert finding.subject == "a"
    assert f"also claims {old}" in finding.message


def test_an_agent_under_another_address_than_the_inventory_says_is_found(hand_agents: HandAgents) -> None:
    a, other = unique_loopback(), unique_loopback()
    hand_agents.speak(a, other)
    finding = _found(hand_agents, "never_seen", DesiredAgent("a", a))
    assert f"an agent connects from {a} but claims {other}" in finding.message
    assert f"Set kraken_agent_address of a to {other}" in finding.hint


def test_agents_behind_one_nat_are_named(hand_agents: HandAgents) -> None:
    nat, a, b = unique_loopback(), unique_loopback(), unique_loopback()
    hand_agents.speak(nat, a)
    hand_agents.speak(nat, b)
    finding = _found(hand_agents, "nat", DesiredAgent("a", a), DesiredAgent("b", b))
    assert finding.subject == nat
    called = {a: f"a ({a})", b: f"b ({b})"}
    assert finding.message == f"the agents {', '.join(called[one] for one in sorted(called))} all connect from {nat}"
