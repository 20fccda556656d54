"""Hosts whose address only they know: what a deploy made is drained, enabled and removed without it being set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_what_was_deployed_without_an_address_is_drained_enabled_and_removed_without(
    new_fleet: Callable[..., Fleet],
) -> None:
    fleet = new_fleet("no-name-that-anybody-knows")
    del fleet.host("no-name-that-anybody-knows")["kraken_agent_address"]
    with fleet.client() as client:
        done = fleet.play("deploy-agents.yml")
        assert done.code == 0, done.text
        (agent,) = client.agents()
        assert agent.enabled

        for playbook, enabled in (("drain-agents.yml", False), ("enable-agents.yml", True)):
            done = fleet.play(playbook)
            assert done.code == 0, done.text
            assert client.agent(agent.id).enabled is enabled, done.text
        done = fleet.play("remove-agents.yml")
        assert done.code == 0, done.text
        assert list(client.agents()) == []
    assert not fleet.home("no-name-that-anybody-knows").exists()
