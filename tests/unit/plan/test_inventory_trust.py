"""Commands authorize agents as the inventory says with kraken_registration_trust, and no other way."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from kraken_fleet.model import (
    UNREAD_TRUST,
    Agent,
    DesiredAgent,
    DesiredFleet,
    DesiredTrust,
    ObservedFleet,
    TrustRule,
)
from kraken_fleet.plan import Authorize, InventoryTrust, PlanPolicy, make_plan, trust_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CIDR = DesiredTrust("cidr", networks=("10.0.0.0/24",))
RULES = DesiredTrust("rules", rules=(TrustRule(frozenset({"ruled"}), ("10.0.0.0/24",)),))
ATTESTED = DesiredTrust("attested")


def fleet(**trusts: DesiredTrust) -> DesiredFleet:
    """Hosts in the order of their addresses, 10.0.0.1 and so on."""
    found = enumerate(trusts.items(), start=1)
    return DesiredFleet(tuple(DesiredAgent(host, f"10.0.0.{number}", trust=trust) for number, (host, trust) in found))


def authorized(desired: DesiredFleet, *addresses: str, policy: PlanPolicy | None = None) -> dict[str, str]:
    """Whom a plan authorizes, and by which policy."""
    agents = tuple(Agent(number, one, one, ip_address=one) for number, one in enumerate(addresses, start=1))
    plan = make_plan(desired, ObservedFleet(agents), policy, now=NOW)
    return {action.address: action.policy for action in plan.of(Authorize)}


def test_a_host_that_has_to_report_a_secret_is_not_authorized_by_its_address() -> None:
    desired = fleet(one=ATTESTED)
    assert authorized(desired, "10.0.0.1") == {}
    agents = (Agent(1, "10.0.0.1", "10.0.0.1"),)
    findings = make_plan(desired, ObservedFleet(agents), now=NOW).findings
    (finding,) = (finding for finding in findings if finding.kind == "not_trusted")
    assert finding.message == "the secret on one is not known here; its next deploy looks at it"
    assert finding.hint == "Deploy the host"


def test_without_a_word_in_the_inventory_addresses_count() -> None:
    assert authorized(fleet(one=DesiredTrust()), "10.0.0.1", "10.0.0.9") == {"10.0.0.1": "inventory"}
    assert trust_of(DesiredFleet()) == (InventoryTrust(),)


@pytest.mark.parametrize("trust", [CIDR, RULES])
def test_networks_and_rules_of_the_inventory_count_for_its_own_hosts(trust: DesiredTrust) -> None:
    assert authorized(fleet(one=trust), "10.0.0.1", "10.0.0.9") == {"10.0.0.1": trust.policy}
    elsewhere = DesiredFleet((DesiredAgent("one", "10.9.0.1", trust=trust),))
    assert authorized(elsewhere, "10.9.0.1") == {}


@pytest.mark.parametrize("policy", ["cidr", "rules"])
def test_networks_or_rules_that_are_missing_admit_nobody(policy: str) -> None:
    assert authorized(fleet(one=DesiredTrust(policy)), "10.0.0.1") == {}


def test_hosts_of_one_inventory_may_ask_for_different_policies() -> None:
    desired = fleet(one=DesiredTrust(), two=ATTESTED, three=ATTESTED)
    assert authorized(desired, "10.0.0.1", "10.0.0.2") == {"10.0.0.1": "inventory"}
    narrow = DesiredTrust("cidr", networks=("10.0.0.3/32",))
    mixed = fleet(one=CIDR, two=ATTESTED, three=narrow, four=narrow)
    every = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9")
    assert authorized(mixed, *every) == {"10.0.0.1": "cidr", "10.0.0.3": "cidr"}


def test_a_part_of_the_inventory_authorizes_nobody_of_the_rest() -> None:
    whole = fleet(one=CIDR, two=ATTESTED)
    part = dataclasses.replace(whole, agents=whole.agents[:1], complete=False)
    assert authorized(part, "10.0.0.1", "10.0.0.2") == {"10.0.0.1": "cidr"}


def test_what_only_a_play_can_read_authorizes_nobody() -> None:
    desired = fleet(one=DesiredTrust(UNREAD_TRUST))
    assert authorized(desired, "10.0.0.1") == {}
    plan = make_plan(desired, ObservedFleet((Agent(1, "10.0.0.1", "10.0.0.1"),)), now=NOW)
    assert any("cannot be read here" in finding.message for finding in plan.findings)


def test_policies_that_a_command_was_given_count_alone() -> None:
    given = PlanPolicy(trust=(InventoryTrust(),))
    assert authorized(fleet(one=ATTESTED), "10.0.0.1", policy=given) == {"10.0.0.1": "inventory"}
    assert authorized(fleet(one=DesiredTrust()), "10.0.0.1", policy=PlanPolicy(trust=())) == {}
