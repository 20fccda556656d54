"""Hosts are deployed by one process (`--tags agent`), registered and proven by another one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEPLOY = "deploy-agents.yml"


def test_attested_agents_are_registered_by_another_process_than_deployed_them(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("one", "two", "broken")
    fleet.variables.update({"kraken_registration_trust": "attested", "kraken_agent_groups": ["apart"]})
    (fleet.directory / "file").touch()
    fleet.host("broken")["kraken_agent_dir"] = str(fleet.directory / "file" / "agent")
    path = fleet.directory / "results.json"
    results = ("-e", f"kraken_registration_results={path}")

    early = fleet.play(DEPLOY, "--tags", "registration,verify", *results)
    assert early.code != 0
    assert "The results cannot be read: No such file or directory. Deploy with `--tags agent`" in early.message
    first = fleet.play(DEPLOY, "--tags", "agent", *results)
    assert (first.code, first.failed) == (2, {"one": False, "two": False, "broken": True}), first.text
    found = json.loads(path.read_text())["hosts"]
    assert [found[host]["changed"] for host in ("one", "two")] == [True, True]
    assert fleet.agents().keys() == {fleet.host(host)["kraken_agent_address"] for host in ("one", "two")}
    for host in ("one", "two"):
        assert (fleet.home(host) / "nonce").read_text().strip() not in path.read_text()

    second = fleet.play(DEPLOY, "--tags", "registration,verify", *results)
    assert (second.code, second.failed) == (2, {"broken": True}), second.text
    assert "broken: not registered: its deploy has failed: " in second.message
    assert "one: proven, job" in second.message
    assert "two: proven, job" in second.message
    assert all(agent.enabled and agent.group_names == {"all", "apart"} for agent in fleet.agents().values())

    for tags in ("agent", "registration,verify"):
        again = fleet.play(DEPLOY, "--tags", tags, "--limit", "one:two", *results)
        assert (again.code, set(again.changed.values())) == (0, {0}), again.text
