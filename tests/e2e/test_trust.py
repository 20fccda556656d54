"""Whom the deploy playbook lets in, with real agents and one that only says to be one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.background import repeating
from tests.e2e.loopback_fleet import Fleet, Played
from tests.source_address import From

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY, REMOVE = "deploy-agents.yml", "remove-agents.yml"
UNPROVEN = ("-e", "kraken_verify_enabled=false")


@contextmanager
def impostor(fleet: Fleet, host: str, source: str = "") -> Iterator[None]:
    """Somebody who says to be the agent of a host, faster than that one does.

    Args:
        source: where he connects from; else from that host's own address, as one behind the same NAT does. The embedded
            server refuses a peer that is not the authorized agent's.
    """
    address = fleet.host(host)["kraken_agent_address"]
    info = {"system": "debian-12", "system_type": "linux", "kraken_fleet_nonce": "a guess"}

    session = requests.Session()
    session.mount("http://", From(source or address))

    def speak() -> None:
        for message in ({"msg": "get-job"}, {"msg": "host-info", "info": info}):
            session.post(f"{fleet.server.url}/backend", json={"address": address, **message}, timeout=100)

    with session, repeating(speak):
        yield


def test_attested_agents_come_in_and_stay_and_leave_nothing(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.variables.update({"kraken_registration_trust": "attested", "kraken_agent_groups": ["attested"]})

    predicted = fleet.play(DEPLOY, "--check", "--diff", *UNPROVEN)
    done = fleet.play(DEPLOY, "--diff", "-vvv", *UNPROVEN)
    assert done.code == 0, done.text
    assert done.changed == predicted.changed
    assert {agent.group_names for agent in fleet.agents().values() if agent.enabled} == {frozenset({"all", "attested"})}
    for host in ("one", "two"):
        nonce = fleet.home(host) / "nonce"
        assert nonce.stat().st_mode & 0o777 == 0o600
        assert nonce.read_text() not in done.text
    assert fleet.play(DEPLOY, *UNPROVEN).changed == {"one": 0, "two": 0}

    before = (fleet.home("one") / "nonce").read_text()
    fresh = fleet.play(DEPLOY, "-e", "kraken_agent_fresh_nonce=true", "--limit", "one", *UNPROVEN)
    assert fresh.code == 0, fresh.text
    assert (fleet.home("one") / "nonce").read_text() != before
    assert fleet.play(REMOVE).code == 0
    assert list((fleet.directory / "hosts").iterdir()) == []
    assert fleet.agents() == {}


def assert_put_out(fleet: Fleet, done: Played) -> str:
    """See that the agent that claims the address of two, which is returned, is out, and that only two has failed."""
    claimed = str(fleet.host("two")["kraken_agent_address"])
    assert done.failed == {"one": False, "two": True}, done.text
    assert f"the agent that claims {claimed} is not the one on two" in done.message
    agent = fleet.agents()[claimed]
    assert (agent.authorized, agent.enabled) == (False, False)
    return claimed


def test_one_who_only_says_to_be_a_host_is_put_out_and_fails_that_host_alone(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.variables["kraken_registration_trust"] = "attested"
    with impostor(fleet, "two"):
        done = fleet.play(DEPLOY, *UNPROVEN)
    claimed = assert_put_out(fleet, done)
    assert fleet.agents()[fleet.host("one")["kraken_agent_address"]].authorized

    # Without the impostor the host's own agent comes in.
    again = fleet.play(DEPLOY, *UNPROVEN)
    assert again.code == 0, again.text
    assert fleet.agents()[claimed].authorized


@pytest.mark.timeout(900)
def test_one_who_took_over_an_attested_agents_address_is_put_out_by_the_next_deploy(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.variables["kraken_registration_trust"] = "attested"
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    with impostor(fleet, "two"):
        predicted = fleet.play(DEPLOY, "--check", *UNPROVEN)
        done = fleet.play(DEPLOY, *UNPROVEN)
    claimed = assert_put_out(fleet, done)
    assert done.changed == predicted.changed
    assert fleet.agents()[fleet.host("one")["kraken_agent_address"]].enabled

    again = fleet.play(DEPLOY, *UNPROVEN)
    assert again.code == 0, again.text
    assert fleet.agents()[claimed].enabled
    assert fleet.play(DEPLOY, *UNPROVEN).changed == {"one": 0, "two": 0}


def test_one_who_speaks_from_elsewhere_changes_nothing_of_an_attested_agent(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.variables["kraken_registration_trust"] = "attested"
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0
    claimed = fleet.host("two")["kraken_agent_address"]
    with impostor(fleet, "two", source="127.0.0.66"):
        done = fleet.play(DEPLOY, *UNPROVEN)
    assert done.code == 0, done.text
    assert done.changed == {"one": 0, "two": 0}
    agent = fleet.agents()[claimed]
    assert (agent.authorized, agent.enabled, agent.ip_address) == (True, True, claimed)


def test_without_a_secret_made_in_the_play_nobody_is_attested(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one")
    assert fleet.play(DEPLOY, "--tags", "agent").code == 0
    done = fleet.play(DEPLOY, "--tags", "registration", "-e", "kraken_registration_trust=attested")
    assert done.failed == {"one": True}
    assert "the secret on one is not known here; its next deploy looks at it" in done.message
    assert not fleet.agents()[fleet.host("one")["kraken_agent_address"]].authorized


def test_networks_and_rules_let_in_who_is_in_them(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    one, two = (fleet.host(name)["kraken_agent_address"] for name in ("one", "two"))
    fleet.variables.update({"kraken_registration_trust": "cidr", "kraken_registration_trust_networks": [f"{one}/32"]})
    done = fleet.play(DEPLOY, *UNPROVEN)
    assert done.failed == {"one": False, "two": True}, done.text
    assert f"{two} is in none of {one}/32" in done.message

    del fleet.variables["kraken_registration_trust_networks"]
    rules = [
        {"networks": [f"{two}/32"], "groups": ["by-rule"], "systems": ["*"]},
        {"networks": [f"{two}/32"], "groups": ["never"], "systems": ["plan9-*"]},
    ]
    fleet.variables.update({"kraken_registration_trust": "rules", "kraken_registration_trust_rules": rules})
    done = fleet.play(DEPLOY, *UNPROVEN)
    assert done.code == 0, done.text
    assert fleet.agents()[two].group_names == {"all", "by-rule"}
    assert not any(fleet.play(DEPLOY, *UNPROVEN).changed.values())

    del fleet.variables["kraken_registration_trust_rules"]
    assert "trust_rules goes with trust rules" in fleet.play(DEPLOY, *UNPROVEN).message
