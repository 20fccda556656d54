"""Several controllers upgrade one fleet at once, and one of them is killed: on loopback hosts with real agents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import upgrades_at_once
from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_four_controllers_keep_the_budget_and_one_more_run_heals_what_a_kill_left(
    new_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    hosts = [f"host-{number}" for number in range(1, 9)]
    fleet = new_fleet(*hosts)
    fleet.variables["kraken_agent_groups"] = [upgrades_at_once.GROUP]
    done = fleet.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false")
    assert done.code == 0, done.text
    fleet.variables["kraken_agent_bundle_version"] = "2.0"
    with fleet.client() as client:
        upgrades_at_once.upgraded_at_once(
            upgrades_at_once.Fleet(
                client,
                {host: fleet.host(host)["kraken_agent_address"] for host in hosts},
                fleet.prepared,
                lambda host: (fleet.home(host) / "current").readlink().name.startswith("2.0-"),
                tmp_path,
            ),
            by_hand="host-8",
        )
