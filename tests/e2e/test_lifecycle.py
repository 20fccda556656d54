"""Draining, enabling and upgrading agents with the playbooks, on loopback hosts with real agents."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e.fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NewFleet = Callable[..., Fleet]
DEPLOY, DRAIN, ENABLE, UPGRADE = "deploy-agents.yml", "drain-agents.yml", "enable-agents.yml", "upgrade-agents.yml"
UNPROVEN = ("-e", "kraken_verify_enabled=false")


def enabled(fleet: Fleet) -> dict[str, bool]:
    """Whether each host's agent may have jobs."""
    found = fleet.agents()
    hosts = fleet.inventory["kraken_agents"]["hosts"]
    return {name: found[one["kraken_agent_address"]].enabled for name, one in hosts.items()}


def test_agents_are_drained_and_enabled_again_save_those_that_are_to_stay_out(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    assert fleet.play(DEPLOY, *UNPROVEN).code == 0

    predicted = fleet.play(DRAIN, "--check", "--diff")
    assert enabled(fleet) == {"one": True, "two": True}
    drained = fleet.play(DRAIN, "--diff")
    assert drained.code == 0, drained.text
    assert drained.diffs == predicted.diffs
    assert enabled(fleet) == {"one": False, "two": False}
    assert not any(fleet.play(DRAIN).changed.values())

    fleet.host("two")["kraken_agent_enabled"] = False
    predicted = fleet.play(ENABLE, "--check", "--diff")
    done = fleet.play(ENABLE, "--diff")
    assert done.code == 0, done.text
    assert done.diffs == predicted.diffs
    assert enabled(fleet) == {"one": True, "two": False}
    assert not any(fleet.play(ENABLE).changed.values())
