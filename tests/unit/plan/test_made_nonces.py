"""A secret that was made for a host proves that host, until its time is over; others are decided as before."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from kraken_fleet.model import Agent, DesiredAgent, HostInfo
from kraken_fleet.plan import AttestedTrust, InventoryTrust, MadeNonce, decide, trust_with_nonces

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECRET = "the-secret"
WANTED = DesiredAgent("build-9", "10.0.0.9")


def nonce(hours: float = 1.0) -> MadeNonce:
    return MadeNonce("build-9", "10.0.0.9", hashlib.sha256(SECRET.encode()).hexdigest(), NOW + timedelta(hours=hours))


def agent(told: str = "", address: str = "10.0.0.9", *, authorized: bool = False) -> Agent:
    info = HostInfo(extra={"kraken_fleet_nonce": told}) if told else None
    return Agent(1, address, address, authorized=authorized, host_info=info)


def test_the_agent_of_such_a_host_comes_on_trial_and_has_to_report_it() -> None:
    trust = trust_with_nonces((InventoryTrust(),), [nonce()], NOW)
    decision = decide(trust, agent(), WANTED)
    assert (decision.admitted, decision.on_trial, decision.policy) == (True, True, "attested")
    assert trust[0].judge(agent(SECRET), WANTED).admitted
    assert not trust[0].judge(agent("a guess"), WANTED).admitted


def test_a_secret_whose_time_is_over_lets_nobody_in_not_even_by_the_address() -> None:
    trust = trust_with_nonces((InventoryTrust(),), [nonce(hours=-1)], NOW)
    decision = decide(trust, agent(SECRET), WANTED)
    assert not decision.admitted
    assert "does not count any more; make new user data" in decision.reason


def test_other_hosts_are_decided_as_before() -> None:
    before = (InventoryTrust(),)
    other, wanted = agent(address="10.0.0.1"), DesiredAgent("build-1", "10.0.0.1")
    decision = decide(trust_with_nonces(before, [nonce()], NOW), other, wanted)
    assert decision == decide(before, other, wanted)
    assert trust_with_nonces(before, [], NOW) == before


def test_where_the_inventory_asks_for_secrets_one_policy_knows_those_that_were_made() -> None:
    trust = trust_with_nonces((AttestedTrust({}),), [nonce()], NOW)
    assert [policy.name for policy in trust] == ["attested"]
    assert decide(trust, agent(), WANTED).admitted
    assert not decide(trust, agent(address="10.0.0.1"), DesiredAgent("build-1", "10.0.0.1")).admitted


def test_an_authorized_agent_has_to_report_the_new_secret_of_its_host() -> None:
    trust = trust_with_nonces((InventoryTrust(),), [nonce()], NOW)
    assert trust[0].doubt(agent("the old one", authorized=True), WANTED)
    assert not trust[0].doubt(agent(SECRET, authorized=True), WANTED)
